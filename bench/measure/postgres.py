"""A Postgres of the benchmark's own."""

import os
import shutil
import subprocess

from .system import ROOT, cpu_with_children, output, run

# As the service's private server has them; what is not here is PostgreSQL's default.
SETTINGS = [
    "jit=off", "shared_buffers=128MB", "max_connections=100", "fsync=on", "synchronous_commit=on",
    "full_page_writes=on", "timezone=UTC",
]


class Postgres:
    """A cluster on a Unix socket."""

    def __init__(self, folder):
        self.programs = output(ROOT / "ci/postgres-bin-dir")
        self.home = folder / "postgres"
        self.home.mkdir(mode=0o700)
        self.as_server = []
        if os.geteuid() == 0:
            shutil.chown(self.home, "postgres")
            self.as_server = ["runuser", "-u", "postgres", "--"]
        self._server("initdb", "-D", f"{self.home}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8",
                     "--locale=C")
        settings = [*SETTINGS, "listen_addresses=''", f"unix_socket_directories={self.home}"]
        self._server("pg_ctl", "-D", f"{self.home}/data", "-w", "-l", f"{self.home}/log", "-o",
                     " ".join(f"-c {setting}" for setting in settings), "start")
        self.pid = int((self.home / "data/postmaster.pid").read_text().split()[0])

    def _server(self, program, *arguments):
        run(*self.as_server, f"{self.programs}/{program}", *arguments, cwd="/", stdout=subprocess.DEVNULL)

    def client(self, program, *arguments):
        """What one of PostgreSQL's client programs prints."""
        return output(*self.as_server, f"{self.programs}/{program}", "-h", self.home, "-U", "postgres",
                      *arguments, cwd="/")

    def psql(self, statement, database="postgres"):
        return self.client("psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", statement, database)

    def settle(self, database):
        """Clears up after writes, so that the next measurement does not pay for them, and leaves nothing to
        the automatic vacuum, which would run into it."""
        self.psql("vacuum analyze", database)
        self.psql("checkpoint")

    def url(self, database):
        return f"postgres://postgres@localhost/{database}?host={self.home}"

    def cpu(self):
        return cpu_with_children(self.pid)

    def stop(self):
        self._server("pg_ctl", "-D", f"{self.home}/data", "-m", "fast", "stop")
