"""The inside of the sandbox: runs in a fresh interpreter that knows nothing of Hornbook, and imports nothing of it.

Arguments: the numbers of `sandbox.Limits`, the folder for what is told and printed, and where packages lie. Standard
input brings a line with a secret word and the sizes of the programs, then the programs. The interpreter runs none of
them itself. For each it forks a keeper, which leaves the machine's namespaces and forks the first process of new
ones; that one watches the clock over the program, which is its child. Sources: the manual pages namespaces(7),
user_namespaces(7), landlock(7), mount_setattr(2).
"""

import _signal as signal  # type: ignore[import-not-found]  # the part in C: signal.py takes long to start
import ctypes
import errno
import os
import resource
import struct
import sys
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW_USER, _NEW_PID, _NEW_NET, _NEW_MOUNTS, _NEW_IPC = 0x10000000, 0x20000000, 0x40000000, 0x20000, 0x08000000
_MOUNT_SETATTR, _LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 442, 444, 445, 446  # the same on x86 and Arm
_SET_DUMPABLE, _SET_SUBREAPER, _NO_NEW_PRIVILEGES = 4, 36, 38  # prctl(2)
_MS_NOSUID, _MS_NODEV, _MS_PRIVATE_ALL = 2, 4, 0x44000
_NOBODY = 65534
_LEAST_PIDS = 301  # the kernel takes no smaller maximum
_LOOK_SECONDS = 0.02  # between two looks at a running program
_PROCESSES_EVER = 20  # times the limit of those at a time
_READABLE = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/full")
_FS_READ = 1 << 0 | 1 << 2 | 1 << 3  # Landlock: execute, read files and folders
_FS_FILE = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14  # what may be allowed for a file that is no folder


class suppress:
    """Go on after these exceptions."""

    def __init__(self, *exceptions: type[BaseException]) -> None:
        self.exceptions = exceptions

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> bool:
        return kind is not None and issubclass(kind, self.exceptions)


def _call(name: str, *arguments: object) -> int:
    """A function of the C library; -1 where there is none."""
    function = getattr(_LIBC, name, None)
    return function(*arguments) if function else -1


def main() -> None:
    """Run the programs one after the other, each in processes of its own."""
    secret, *sizes = sys.stdin.buffer.readline().split()
    programs = [sys.stdin.buffer.read(int(size)) for size in sizes]
    numbers, folder, packages = sys.argv[1:4]
    limits = [float(number) for number in numbers.split(",")]
    sys.argv[:] = ["program.py"]
    sys.path.append(packages)
    for number, program in enumerate(programs):
        keeper = os.fork()
        if not keeper:
            try:
                os._exit(_keep(program, f"{folder}/{number}", limits, secret))
            except BaseException as error:
                with open(f"{folder}/{number}-failed", "w") as file:
                    file.write(f"{type(error).__name__}: {error}")
                os._exit(1)
        os.waitpid(keeper, 0)
    os._exit(0)


def _keep(program: bytes, place: str, limits: list[float], secret: bytes) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    status, report, output = (os.open(f"{place}-{name}", flags, 0o600) for name in ("status", "report", "output"))
    for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
        os.dup2(descriptor, target)
    home = f"{place}-home"
    os.mkdir(home)
    _become_nobody(home)
    namespaces = _leave()
    first = os.fork()
    if not first:
        layers = _enter(home, *limits[5:8]) if namespaces else []
        os.chdir(home)
        os._exit(_watch(program, home, limits, secret, (status, report), layers))
    os.waitpid(first, 0)
    return 0


def _become_nobody(home: str) -> None:
    """No limit on processes holds for root. Stay root where nobody else could read the interpreter."""
    if os.geteuid():
        return
    with suppress(OSError):  # root of a container may own nothing of nobody's
        os.chown(home, _NOBODY, _NOBODY)
        os.chmod(os.path.dirname(home), 0o711)
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.seteuid(_NOBODY)
        readable = os.access(os.__file__, os.R_OK, effective_ids=True)
        os.seteuid(0)
        if not readable:
            return
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    _call("prctl", _SET_DUMPABLE, 1, 0, 0, 0)  # or /proc/self would still be root's


def _leave() -> bool:
    """Leave the namespaces of the machine; False where the kernel does not let us."""
    user, group = os.getuid(), os.getgid()
    if _call("unshare", _NEW_USER | _NEW_PID | _NEW_NET | _NEW_MOUNTS | _NEW_IPC):
        return False
    with suppress(OSError):
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    return True


def _linux() -> tuple[int, ...]:
    with suppress(ValueError):
        return tuple(int(number) for number in os.uname().release.split("-")[0].split(".")[:2])
    return (0, 0)


def _enter(home: str, processes: float, folder_mb: float, folder_files: float) -> list[str]:
    """Furnish the new namespaces, as their first process; returns the layers that hold."""
    layers = ["namespaces"]
    if _linux() >= (6, 14):  # since then the number is this namespace's own; before, root would set the machine's
        with suppress(OSError), open("/proc/sys/kernel/pid_max", "w") as file:
            file.write(str(_LEAST_PIDS + int(processes)))
    _call("mount", None, b"/", None, _MS_PRIVATE_ALL, None)
    read_only = struct.pack("QQQQ", 1, 0, 0, 0)
    if not _call("syscall", _MOUNT_SETATTR, -1, b"/", 0x8000, read_only, len(read_only)):
        layers.append("read-only files")
    size = f"size={int(folder_mb)}m,nr_inodes={int(folder_files)},mode=777".encode()
    if not _call("mount", b"none", home.encode(), b"tmpfs", _MS_NOSUID | _MS_NODEV, size):
        layers.append("folder in memory")
    return layers


def _watch(
    program: bytes, home: str, limits: list[float], secret: bytes, told: tuple[int, int], layers: list[str]
) -> int:
    """The first process of the new namespace: when it ends, everything in it ends."""
    status, report = told
    _call(
        "prctl", _SET_SUBREAPER, 1, 0, 0, 0
    )  # for where there is no namespace: what the program leaves behind is ours
    why = "-"
    started = time.monotonic()
    child = os.fork()
    if not child:
        layers += _confine(home, limits)
        os.write(status, (",".join(layers) + "\n").encode())
        os.close(status)
        os._exit(_run(program, report, secret))

    def look(*_: object) -> None:
        nonlocal why
        if time.monotonic() - started > limits[0]:
            why = "time"
        elif "namespaces" in layers and _last_pid() > _PROCESSES_EVER * limits[5]:
            why = "processes"
        if why != "-":
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, _LOOK_SECONDS, _LOOK_SECONDS)
    code = 0
    while True:
        pid, ended = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(ended)
            break
    seconds = time.monotonic() - started
    signal.setitimer(signal.ITIMER_REAL, 0)
    if "namespaces" not in layers:
        _end_children()
    os.write(status, f"{code} {why} {seconds:.6f}\n".encode())
    return 0


def _last_pid() -> int:
    """How many processes this namespace has seen: what holds back a fork bomb of root, whom no limit binds."""
    try:
        with open("/proc/loadavg") as file:
            return int(file.read().split()[4])
    except (OSError, ValueError):
        return 0


def _end_children() -> None:
    """Kill what the program left behind, and what that leaves behind."""
    for _ in range(1000):
        try:
            with open(f"/proc/self/task/{os.getpid()}/children") as file:
                children = file.read().split()
        except OSError:
            return
        if not children:
            return
        for child in children:
            with suppress(OSError):
                os.kill(int(child), signal.SIGKILL)
        with suppress(OSError):
            os.wait()


def _confine(home: str, limits: list[float]) -> list[str]:
    """What holds for the program's own process and all that it starts."""
    os.setsid()
    _, cpu, memory_mb, file_mb, files, processes = limits[:6]
    for what, limit in (
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, memory_mb * 2**20),
        (resource.RLIMIT_FSIZE, file_mb * 2**20),
        (resource.RLIMIT_NOFILE, files),
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # where the system allows less already, or knows no such limit
            resource.setrlimit(what, (int(limit), int(limit)))
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    layers = ["file rules"] if _landlock(home) else []
    _call("capset", struct.pack("II", 0x20080522, 0), bytes(24))  # no capability is left
    return layers


def _landlock(home: str) -> bool:
    """Reading where the interpreter lives, writing at home, and no signal to strangers; False without Landlock."""
    abi = _call("syscall", _LANDLOCK_CREATE, None, 0, 1)
    if abi < 1:
        return False
    everything = (1 << 13) - 1 | (abi >= 2) << 13 | (abi >= 3) << 14 | (abi >= 5) << 15
    net, scoped = (3 if abi >= 4 else 0), (3 if abi >= 6 else 0)
    attributes = struct.pack("QQQ", everything, net, scoped)[: 8 + 8 * (abi >= 4) + 8 * (abi >= 6)]
    ruleset = _call("syscall", _LANDLOCK_CREATE, attributes, len(attributes), 0)
    readable = {*_READABLE, sys.prefix, sys.base_prefix, *(path for path in sys.path if path)}
    rules = [(path, _FS_READ) for path in readable] + [(path, 1 << 1 | 1 << 2) for path in _DEVICES]
    for path, access in [*rules, (home, everything)]:
        try:
            place = os.open(path, 0o10000000)  # O_PATH
        except OSError:
            continue
        allowed = access & everything if os.path.isdir(path) else access & everything & _FS_FILE
        _call("syscall", _LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", allowed, place), 0)
        os.close(place)
    done = _call("syscall", _LANDLOCK_RESTRICT, ruleset, 0) == 0
    os.close(ruleset)
    return done


def _run(program: bytes, report: int, secret: bytes) -> int:
    """Run the program to its end and tell how it ended; the exit code is 0 only for the end of the file."""
    owner, checks = os.getpid(), 0

    def checked() -> None:
        nonlocal checks
        checks += 1

    word = "end"
    try:
        source = program.decode("utf-8", "replace")
        exec(compile(source, "program.py", "exec"), {"__name__": "__main__", "__checked__": checked})
        _join_threads()
    except SystemExit:
        word = "exit"
    except BaseException as error:
        word = _cause(error)
        try:
            import traceback

            trace = error.__traceback__
            traceback.print_exception(type(error), error, trace.tb_next if trace else None)
        except MemoryError:
            word = "memory"
        except BaseException:
            pass  # what it printed has filled its limit
    if os.getpid() != owner:
        return 1  # a copy of the program that it made by forking
    with suppress(BaseException):
        sys.stdout.flush()
        sys.stderr.flush()
    os.write(report, b"%s %s %d\n" % (secret, word.encode(), checks))
    return 0 if word == "end" else 1


def _join_threads() -> None:
    """A program ends when its threads do."""
    if threading := sys.modules.get("threading"):
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()


def _cause(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, OSError) and error.errno in (errno.EFBIG, errno.ENOSPC, errno.EDQUOT):
        return "disk"
    if isinstance(error, OSError) and error.errno == errno.EAGAIN:
        return "processes"
    return type(error).__name__
