"""How ejabberd is called: as its ejabberdctl calls Erlang, which only root and the user ejabberd may call."""

import os

NODE = "bench@127.0.0.1"  # mnesia knows its folder by it


def command(home, dist_port, *options):
    """No port mapper is started: the node's own port is fixed.  Source: ejabberdctl, ERL_DIST_PORT."""
    return ["erl", "+K", "true", "+P", "250000", *options, "-env", "ERL_CRASH_DUMP_BYTES", "0", "-erl_epmd_port", str(dist_port),
            "-start_epmd", "false", "-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-name", NODE, "-setcookie", "bench",
            "-mnesia", "dir", f'"{home.path / "store"}"', "-noinput"]


def environment(home):
    return os.environ | {
        "HOME": str(home.path), "ERL_LIBS": "/usr/lib/x86_64-linux-gnu", "ERL_MAX_PORTS": "65536", "ERL_MAX_ETS_TABLES": "2053",
        "EJABBERD_CONFIG_PATH": str(home.path / "ejabberd.yml"), "EJABBERD_LOG_PATH": str(home.path / "ejabberd.log")}
