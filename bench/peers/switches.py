# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
"""The switches that are compared, and their guests: how each is started, watched and ended.

Whatever is started here is a child of this process and dies with it, however that ends."""

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OVS = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
OVS_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
SWITCH_MIB = 512  # of hugepages, for each peer
GUEST_MIB = 256   # for testpmd as a guest
PATIENCE_S = 15


class Trouble(Exception):
    """What went wrong, in a sentence."""


def die_with_parent():
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """A process of ours, with its output in a file."""

    alive = []

    def __init__(self, cmd, log, stdin=subprocess.DEVNULL, env=None):
        self.log = log
        with open(log, "w", encoding="utf-8") as out:
            self.process = subprocess.Popen(cmd, stdin=stdin, stdout=out, stderr=subprocess.STDOUT,
                                            env=env, text=True, preexec_fn=die_with_parent)
        self.pid = self.process.pid
        Child.alive.append(self)

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def running(self):
        return self.process.poll() is None

    def wait(self, seconds):
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end()
            raise Trouble(f"{self.process.args[0]} was not done after {seconds:.0f} s") from None
        Child.alive.remove(self)
        return status

    def end(self):
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self in Child.alive:
            Child.alive.remove(self)

    @staticmethod
    def end_all():
        for c in list(reversed(Child.alive)):
            c.end()


def until(what, happened, seconds=PATIENCE_S, child=None):
    end = time.monotonic() + seconds
    while not happened():
        if child is not None and not child.running():
            raise Trouble(f"{what}: ended early: {child.text()[-400:].strip()}")
        if time.monotonic() > end:
            raise Trouble(f"{what}: not within {seconds} s")
        time.sleep(0.02)


class Switch:
    """A running switch with vhost-user server sockets. `cpus`: of its workers; `control`: the rest."""

    name = missing = None
    hugepages_mib = 0

    def __init__(self, folder, nports, cpus, control):
        self.folder, self.cpus, self.control = folder, cpus, control
        self.sockets = [os.path.join(folder, f"p{i}") for i in range(nports)]
        self.children = []
        try:
            self.start()
            for s in self.sockets:
                until(f"{self.name}: socket {s}", lambda path=s: os.path.exists(path),
                      child=self.children[-1])
        except BaseException:
            self.stop()
            raise

    def start(self):
        raise NotImplementedError

    def stop(self):
        for c in reversed(self.children):
            c.end()
        for s in self.sockets:
            if os.path.exists(s):
                os.unlink(s)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def log(self, what):
        return os.path.join(self.folder, f"{what}.log")

    def cpu_seconds(self):
        """So far, of each of the workers' CPUs: what was stolen, and of the threads bound there for how long
        they ran and waited for it: {cpu: {"stolen": s, "threads": {thread: (s, s)}}}."""
        return cpu_seconds(self.children[-1].pid, self.cpus)


def stolen(cpus):
    """CPU time that a hypervisor has taken from each of them so far, in seconds."""
    with open("/proc/stat", encoding="utf-8") as f:
        ticks = {int(m[1]): int(m[2].split()[7]) for m in re.finditer(r"^cpu(\d+) (.*)$", f.read(), re.M)}
    return {cpu: ticks.get(cpu, 0) / os.sysconf("SC_CLK_TCK") for cpu in cpus}


def cpu_seconds(pid, cpus):
    tasks, of = f"/proc/{pid}/task", {cpu: {"stolen": s, "threads": {}} for cpu, s in stolen(cpus).items()}
    for tid in os.listdir(tasks):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended
            with open(f"{tasks}/{tid}/status", encoding="utf-8") as f:
                allowed = re.search(r"Cpus_allowed_list:\s*(\S+)", f.read())[1]
            if allowed in map(str, cpus):
                with open(f"{tasks}/{tid}/schedstat", encoding="utf-8") as f:
                    ran, waited = (int(ns) / 1e9 for ns in f.read().split()[:2])
                of[int(allowed)]["threads"][tid] = (ran, waited)
    return of


def cpu_share(before, after):
    """Of the time in which the worker wanted its CPU, the part in which it had it; of several workers, of the
    one for which that is least. What it slept away for want of frames is not asked for.

    The worker is the thread that ran most of those bound there: DPDK binds its control threads to all CPUs
    but those of the lcores it was given, so with two CPUs, one of them OVS's lcore, they share the worker's
    and sleep there."""
    shares = []
    for cpu, was in before.items():
        now = after[cpu]["threads"]
        ran, waited = max(((now[t][0] - r, now[t][1] - w) for t, (r, w) in was["threads"].items() if t in now),
                          default=(0.0, 0.0))
        wanted = ran + waited + after[cpu]["stolen"] - was["stolen"]
        shares.append(ran / wanted if wanted > 0 else 0.0)
    return min(shares, default=1.0)


class Weir(Switch):
    name = "weir"
    program = os.environ.get("WEIR", os.path.join(TOP, "build", "weir"))
    idle = "adaptive"

    def start(self):
        config = {"workers": self.cpus, "idle": self.idle, "api": os.path.join(self.folder, "api"),
                  "ports": {f"p{i}": {"vhost-user": s} for i, s in enumerate(self.sockets)}}
        path = os.path.join(self.folder, "weir.yaml")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f)  # JSON is YAML
        self.children.append(Child([self.program, "switch", "-c", path], self.log("weir")))
        until("weir: its API", lambda: os.path.exists(config["api"]), child=self.children[0])

    def show(self, what):
        done = subprocess.run([self.program, "--api", os.path.join(self.folder, "api"), "show", what,
                               "-j"], stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    @staticmethod
    def version():
        done = subprocess.run([Weir.program, "--version"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False)
        return done.stdout.strip() or "weir"


class Testpmd(Switch):
    """Every frame of one port goes out of the other; no lookup, nothing is looked at."""

    name = "testpmd io"
    hugepages_mib = SWITCH_MIB

    def start(self):
        vdevs = [x for i, s in enumerate(self.sockets)
                 for x in ("--vdev", f"net_vhost{i},iface={s}")]
        cores = ",".join(f"{i + 1}@{c}" for i, c in enumerate(self.cpus))
        self.children.append(Child(
            ["dpdk-testpmd", "--lcores", f"0@{self.control},{cores}",
             f"--file-prefix=weirbench{os.getpid()}", "--no-pci", "--in-memory",
             "--single-file-segments", "--socket-mem", str(SWITCH_MIB), *vdevs, "--",
             f"--nb-cores={len(self.cpus)}", "--forward-mode=io", "--auto-start",
             "--no-mlockall", "--total-num-mbufs=32768"],
            self.log("testpmd"), stdin=subprocess.PIPE))  # it ends when its input does

    @staticmethod
    def version():
        done = subprocess.run(["dpkg-query", "-W", "-f=${Version}", "dpdk"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False)
        return f"testpmd of dpdk {done.stdout.strip()}"


class Ovs(Switch):
    """Open vSwitch with DPDK: one bridge, its one flow of action NORMAL, one PMD thread a CPU."""

    name = "OVS-DPDK"
    hugepages_mib = SWITCH_MIB
    mac_table = 65536  # entries; the default of 8,192 would only just hold 2 x 4,096

    def start(self):
        env = dict(os.environ, **{f"OVS_{x}DIR": self.folder for x in ("RUN", "LOG", "DB", "SYSCONF")})
        db, conf = f"unix:{self.folder}/db.sock", os.path.join(self.folder, "conf.db")
        if os.path.exists(conf):
            os.unlink(conf)
        subprocess.run(["ovsdb-tool", "create", conf, OVS_SCHEMA], check=True, env=env)
        self.children.append(Child(
            ["ovsdb-server", conf, f"--remote=p{db}", f"--unixctl={self.folder}/db.ctl"],
            self.log("ovsdb"), env=env))
        until("ovsdb-server", lambda: os.path.exists(f"{self.folder}/db.sock"),
              child=self.children[0])
        mask = sum(1 << c for c in self.cpus)
        self.vsctl(db, "--no-wait", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
                   f"other_config:pmd-cpu-mask={mask:#x}",
                   f"other_config:dpdk-lcore-mask={1 << self.control:#x}",
                   f"other_config:dpdk-socket-mem={SWITCH_MIB}",
                   "other_config:dpdk-extra=--no-pci --in-memory --single-file-segments "
                   f"--file-prefix=weirbench{os.getpid()}")
        self.children.append(Child([OVS, db, f"--unixctl={self.folder}/vs.ctl"], self.log("ovs"),
                                   env=env))
        ports = [x for s in self.sockets for x in (
            "--", "add-port", "br0", os.path.basename(s),
            "--", "set", "Interface", os.path.basename(s), "type=dpdkvhostuser")]
        self.vsctl(db, "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
                   f"other_config:mac-table-size={self.mac_table}", *ports)

    @staticmethod
    def vsctl(db, *args):
        done = subprocess.run(["ovs-vsctl", f"--db={db}", f"--timeout={PATIENCE_S}", *args],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise Trouble(f"ovs-vsctl: {done.stdout.strip()}")

    @staticmethod
    def version():
        done = subprocess.run([OVS, "--version"], stdout=subprocess.PIPE, text=True, check=False)
        return done.stdout.splitlines()[0].replace("ovs-vswitchd-dpdk (Open vSwitch)", "OVS")


def missing():
    """Reasons why peers cannot run here, by class."""
    why = {}
    if shutil.which("dpdk-testpmd") is None:
        why[Testpmd] = "package dpdk is not installed"
    if not os.path.exists(OVS) or shutil.which("ovsdb-server") is None:
        why[Ovs] = "package openvswitch-switch-dpdk is not installed"
    return why


def free_guests(sockets, cpus, frame, macs, warm, seconds, folder, huge, watch=None):
    """Guests that cost nothing (free.c). Adds to its result what share of its CPU the worker had which had
    least (cpu_share): below 1, something else ran there and the figure says little."""
    log = os.path.join(folder, "free.log")
    child = Child([os.path.join(TOP, "build", "bench", "peers", "bench-free"), "-f", str(frame),
                   "-m", str(macs), "-c", ",".join(map(str, cpus)), "-w", str(warm), "-t",
                   str(seconds), *(["-H"] if huge else []), *sockets], log)
    time.sleep(warm)
    before = watch.cpu_seconds() if watch else {}
    time.sleep(seconds)
    after = watch.cpu_seconds() if watch else {}
    if child.wait(PATIENCE_S) != 0:
        raise Trouble(child.text().strip())
    result = json.loads(child.text())
    result["cpu"] = cpu_share(before, after)
    return result


def real_guests(sockets, cpus, control, frame, seconds, folder):
    """testpmd in flowgen mode on two virtio-user ports: a driver that makes every frame anew."""
    cores = ",".join(f"{i + 1}@{c}" for i, c in enumerate(cpus[:2]))
    vdevs = [x for i in (0, 1) for x in (
        "--vdev", f"net_virtio_user{i},path={sockets[i]},queues=1,queue_size=1024,"
                  f"mac=02:00:00:00:00:0{i + 1}")]
    child = Child(
        ["dpdk-testpmd", "--lcores", f"0@{control},{cores}", f"--file-prefix=weirguest{os.getpid()}",
         "--no-pci", "--in-memory", "--socket-mem", str(GUEST_MIB), "--single-file-segments", *vdevs,
         "--", "-i", f"--nb-cores={len(cpus[:2])}", "--no-mlockall", "--total-num-mbufs=65536",
         "--txd=1024", "--rxd=1024", "--burst=32", "--eth-peer=0,02:00:00:00:00:02",
         "--eth-peer=1,02:00:00:00:00:01"], os.path.join(folder, "guest.log"), stdin=subprocess.PIPE)

    def say(line):
        child.process.stdin.write(line + "\n")
        child.process.stdin.flush()

    until("testpmd as a guest", lambda: "testpmd>" in child.text(), child=child)
    say("set fwd flowgen")
    say(f"set txpkts {frame}")
    begin = time.monotonic()
    say("start")
    time.sleep(seconds)
    say("stop")
    took = time.monotonic() - begin
    say("quit")
    child.wait(PATIENCE_S)
    total = child.text().partition("Accumulated")[2]
    received, lost = re.search(r"RX-packets:\s*(\d+)", total), re.search(r"TX-dropped:\s*(\d+)", total)
    if received is None or lost is None:
        raise Trouble(f"testpmd as a guest counted nothing: {child.text()[-400:]}")
    return {"delivered": int(received[1]) / took, "refused": int(lost[1]) / took}


def wake(sockets, cpu, frames, folder):
    """From kick to delivery, one frame at a time (wake.c)."""
    child = Child([os.path.join(TOP, "build", "bench", "peers", "bench-wake"), *sockets[:2],
                   str(frames), str(cpu)], os.path.join(folder, "wake.log"))
    if child.wait(PATIENCE_S + frames / 100) != 0:
        raise Trouble(child.text().strip())
    return json.loads(child.text())


def memory(pid):
    """Bytes: resident in all, of that private to the daemon (anonymous), of that guests' (shared)."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as f:
        kib = {m[1]: int(m[2]) for m in re.finditer(r"^(\w+):\s+(\d+) kB", f.read(), re.M)}
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        status = {m[1]: int(m[2]) for m in re.finditer(r"^(Rss\w+):\s+(\d+) kB", f.read(), re.M)}
    return {"rss": kib["Rss"] * 1024, "anonymous": kib["Anonymous"] * 1024,
            "shared": status["RssShmem"] * 1024}
