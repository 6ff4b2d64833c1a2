// Reads the Dockerfile as an engine would and fails on anything the parser finds odd. It builds
// nothing: that needs an engine.
import { readFileSync } from 'node:fs';
import dockerfile from 'dockerfile-utils';

const [path] = process.argv.slice(2);
const faults = dockerfile.validate(readFileSync(path, 'utf8'));
for (const { range, message } of faults) {
  console.error(`${path}:${range.start.line + 1}: ${message}`);
}
if (faults.length > 0) process.exit(1);
console.log(`${path}: no faults`);
