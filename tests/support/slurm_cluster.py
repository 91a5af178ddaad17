"""A Slurm cluster on loopback: one node that claims as many cores as are asked for, with everything of it in one
folder. It needs root, as slurmd does, and the packages slurm-wlm and munge."""
import os
import shutil
import signal
import socket
import subprocess

from harness import wait_until

PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol"]

CONFIG = """
ClusterName=excamera
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,default_queue_depth=20000,\
partition_job_depth=20000,max_rpc_cnt=0
SlurmdParameters=config_overrides
MaxArraySize={most}
MaxJobCount=50000
MinJobAge={memory}
KillWait=2
MessageTimeout=60
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=20000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=60 State=UP
"""


def missing():
    """Why there can be no cluster here; None where there can."""
    if os.geteuid() != 0:
        return "Slurm's node must be started by root"
    lacking = [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]
    return f"no {', '.join(lacking)}: install slurm-wlm and munge" if lacking else None


PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    def __init__(self, folder, cores=64, most=1001, memory=30):
        self.folder, self.processes = folder, []
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        self.environment = {**os.environ, "PATH": PATH, "SLURM_CONF": str(folder / "slurm.conf")}
        control_port, node_port = free_ports(2)
        (folder / "slurm.conf").write_text(CONFIG.format(
            host=socket.gethostname().split(".")[0], folder=folder, control_port=control_port,
            node_port=node_port, cores=cores, most=most, memory=memory))
        (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        self.start_munge()
        self.start_control()
        self.start("slurmd", "-D", "-f", folder / "slurm.conf")
        wait_until(lambda: self.ask("sinfo", "-h", "-p", "main", "-o", "%T").strip() == "idle", 60)

    def start(self, *words):
        with open(self.folder / f"{words[0]}.out", "ab") as out:
            process = subprocess.Popen([str(word) for word in words], env=self.environment, stdout=out,
                                       stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
        self.processes.append(process)
        return process

    def start_munge(self):
        key, sock = self.folder / "munge.key", self.folder / "munge.sock"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        self.start("munged", "-F", "--force", f"--key-file={key}", f"--socket={sock}", "--num-threads=2",
                   *(f"--{name}-file={self.folder}/munge.{name}" for name in ("pid", "log", "seed")))
        wait_until(sock.exists)

    def start_control(self):
        self.control = self.start("slurmctld", "-D", "-f", self.folder / "slurm.conf")

    def stop_control(self):
        """It writes down what it knows of jobs first: a killed one would believe that those which have ended run."""
        self.control.terminate()
        self.control.wait(timeout=60)

    def ask(self, *words):
        return subprocess.run([str(word) for word in words], env=self.environment, check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120).stdout

    def tasks(self, *states):
        """"array_index" of the tasks that are there, of these states or all."""
        wanted = [f"--states={','.join(states)}"] if states else []
        return self.ask("squeue", "-h", "-r", "-o", "%F_%K", *wanted).split()

    def stop(self):
        self.ask("scancel", "--user=root")
        for process in reversed(self.processes):
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
