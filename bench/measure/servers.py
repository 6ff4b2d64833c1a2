"""What is measured: the service and the baseline, each with a database of its own."""

import http.client
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from . import customers, system
from .postgres import Postgres
from .system import ROOT, output, run

SCOPES = "customers:read customers:write"


# What programs under test take over from the shell: where programs and libraries are, and no setting.
INHERITED = {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}


class Server:
    """A running service or baseline. Its log goes to a file."""

    def __init__(self, name, command, environment, log):
        self.name, self.log = name, log
        with open(log, "w") as file:
            self.process = subprocess.Popen(command, env={**INHERITED, **environment},
                                            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        self.pid = self.process.pid
        self.url = f"http://{self._address()}"

    def _address(self):
        for _ in range(1200):
            with open(self.log) as file:
                log = file.read(10_000)
            if self.process.poll() is not None:
                sys.exit(f"{self.name} ended: {log[-2000:]}")
            found = re.search(r'(?:listening on |"address":")(127\.0\.0\.1:\d+)', log)
            if found:
                return found[1]
            time.sleep(0.05)
        sys.exit(f"{self.name} does not listen")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


class Caller:
    """A caller that looks at its answers, on one connection."""

    def __init__(self, server, token):
        self.name, self.token = server.name, token
        self.connection = http.client.HTTPConnection(server.url.removeprefix("http://"))

    def ask(self, method, path, body=None):
        """The answer's JSON; anything but a success ends the benchmark."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if not 200 <= answer.status < 300:
            sys.exit(f"{self.name}: {method} {path.partition('?')[0]} is answered with {answer.status}")
        return json.loads(text)

    def expect(self, holds, what):
        if not holds:
            sys.exit(f"{self.name}: {what}")


class Programs:
    """The programs under test, the cluster that they use, and their keys."""

    def __init__(self, folder, release, build):
        self.folder, self.running, self.started, self.postgres = folder, [], 0, None
        if build:
            run("cargo", "build", "--locked", "--workspace", *(["--release"] if release else []), cwd=ROOT)
        target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / ("release" if release else "debug")
        self.service_program, self.baseline_program = target / "customer-accounts", target / "baseline"
        self.postgres = Postgres(folder)
        self.keyring = folder / "keyring.json"
        self.keyring.touch(mode=0o600)
        self.keyring.write_text(output(self.service_program, "keys", "generate"))

    def environment(self, database):
        """The service's settings; what is not here is as it comes: authentication, log, metrics."""
        return {"DATABASE_URL": self.postgres.url(database), "KEYRING_FILE": str(self.keyring),
                "DATA_DIR": str(self.folder / "data"), "LISTEN_ADDR": "127.0.0.1:0", "LOG_FORMAT": "json"}

    def service(self, database, settings=None):
        environment = self.environment(database) | (settings or {})
        server = self._started("service", [self.service_program, "serve"], environment)
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        for _ in range(600):
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                return server
            time.sleep(0.05)
        sys.exit("the service is not ready")

    def baseline(self, database):
        return self._started("baseline", [self.baseline_program], {
            "DATABASE_URL": self.postgres.url(database), "LISTEN_ADDR": "127.0.0.1:0"})

    def _started(self, name, command, environment):
        self.started += 1
        server = Server(name, command, environment, self.folder / f"{name}-{self.started}.log")
        self.running.append(server)
        return server

    def stop_one(self, server):
        self.running.remove(server)
        server.stop()

    def token(self):
        """For as long as a whole run may take."""
        return self.command("service", "token", "--scope", SCOPES, "--expires-in", "4h").stdout.strip()

    def command(self, database, *arguments):
        environment = {**INHERITED, **self.environment(database), "LOG_LEVEL": "warn"}
        return run(self.service_program, *arguments, env=environment, stdout=subprocess.PIPE)

    def timed(self, database, *arguments):
        """Runs a command; its seconds, and the most memory that it had, in megabytes."""
        environment = {**INHERITED, **self.environment(database), "LOG_LEVEL": "warn"}
        begun = time.monotonic()
        process = subprocess.Popen([self.service_program, *arguments], env=environment,
                                   stdout=subprocess.PIPE, text=True)
        printed = process.stdout.read().strip()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{arguments[0]} ended with {process.returncode}")
        return {"seconds": time.monotonic() - begun, "memory": usage.ru_maxrss / 1024, "told": printed}

    def grow(self, database, there, count):
        """Imports customers until there are so many; how that went."""
        lines = self.folder / "customers.ndjson"
        generate(lines, there + 1, count - there)
        took = self.timed(database, "import", lines)
        lines.unlink()
        if f" {count - there} created," not in took["told"]:
            sys.exit(f"not all were imported: {took['told']}")
        self.postgres.settle(database)
        return {"lines": count - there, "rate": (count - there) / took["seconds"], **took}

    def create(self, database, count):
        """A new database with so many customers."""
        self.postgres.psql(f"create database {database}")
        self.command(database, "migrate")
        return self.grow(database, 0, count)

    def stop(self):
        for server in self.running:
            server.stop()
        if self.postgres:
            self.postgres.stop()


def generate(path, first, count):
    """Writes customers, with a process for each core."""
    share = -(-count // (os.cpu_count() or 1))
    starts = range(first, first + count, share)
    parts = [path.with_suffix(f".{start}") for start in starts]
    writers = []
    for start, part in zip(starts, parts):
        with open(part, "w") as file:
            writers.append(subprocess.Popen(
                [ROOT / "bench/generate-customers", str(min(share, first + count - start)),
                 "--first", str(start), "--known-ids"], stdout=file))
    if any([writer.wait() for writer in writers]):
        sys.exit("the customers were not generated")
    with open(path, "wb") as whole:
        for part in parts:
            with open(part, "rb") as file:
                while block := file.read(1 << 24):
                    whole.write(block)
            part.unlink()


def check(caller, count):
    """That the operations which are measured do what they should."""
    number = count // 2
    path = f"/customers/{customers.identifier(number)}"
    mail = f"customer{number}@example.com"
    caller.expect(caller.ask("GET", path)["primaryEmail"]["value"] == mail, "a read shows another customer")
    changed = caller.ask("PATCH", path, '{"middleName":"Changed"}')
    caller.expect(changed["middleName"] == "Changed", "a patch changes nothing")
    caller.expect(caller.ask("GET", path)["middleName"] == "Changed", "a patch is not kept")
    with open(customers.EXAMPLE) as example:
        made = caller.ask("POST", "/customers", example.read())
    caller.expect(caller.ask("GET", f"/customers/{made['id']}")["lastName"] == "Green", "what was created is not there")
