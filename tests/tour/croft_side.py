"""The tour's steps with Croft: a method each. None that fails goes on."""

import networked


class CroftSide(networked.Networked):
    """A private instance whose host is a network namespace."""

    name = "Croft"

    def start_daemon(self):
        self.start()

    def prepare(self):
        self.ok("tenant", "create", "acme", "--cpu", "2", "--memory", "512MiB", "--pids", "500")

    def import_image(self, archive):
        self.ok("image", "import", "web", archive, timeout=120)

    def launch(self):
        self.ok("launch", "web", "acme/one", timeout=120)

    def list(self):
        assert "acme/one" in self.ok("list", "acme")

    def configure(self):
        self.ok("set", "acme/one", "--memory", "128MiB", "--cpu", "0.5")

    def run_command(self):
        assert self.ok("exec", "-T", "acme/one", "--", "echo", "hello") == "hello\n"

    def push(self, file):
        self.ok("push", file, "acme/one:/root/file")

    def pull(self, file):
        self.ok("pull", "acme/one:/root/file", file)

    def snapshot(self):
        self.ok("snapshot", "create", "acme/one", "before")

    def break_it(self):
        self.ok("exec", "-T", "acme/one", "--", "rm", "-r", "/www", "/root/file")

    def is_broken(self):
        return self.croft("exec", "-T", "acme/one", "--", "ls", "/www", "/root/file").rc != 0

    def restore(self):
        self.ok("kill", "acme/one")
        self.ok("snapshot", "restore", "acme/one", "before")
        self.ok("start", "acme/one")

    def forward(self, port):
        self.ok("forward", "add", "acme/one", str(port), "80")

    def copy(self):
        self.ok("copy", "acme/one", "acme/two")
        self.ok("start", "acme/two")

    def can_export(self):
        return self.croft("export", "--help").rc == 0 and self.croft("import", "--help").rc == 0

    def export(self, file):
        self.ok("export", "acme/two", file, timeout=120)

    def delete(self):
        self.ok("delete", "--force", "acme/two")

    def import_container(self, file):
        self.ok("import", "acme/two", file, timeout=120)
        self.ok("start", "acme/two")

    def check_second(self):
        assert self.ok("exec", "-T", "acme/two", "--", "ls", "/root") == "file\n"

    def stop(self):
        self.ok("stop", "--timeout", "5", "acme/one")

    def delete_rest(self):
        self.ok("tenant", "delete", "--force", "acme")
        self.ok("image", "delete", "web")

    def stop_daemon(self):
        self.shutdown()
