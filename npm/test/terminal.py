"""Runs a command on a terminal of its own, does what each step says, and tells what came of it as JSON.

terminal.py STEP... -- COMMAND...
A step is `TEXT=>KEYS`: wait until TEXT is shown, then type KEYS (with \\n, \\x03 and so on).
"""
import fcntl, json, os, pty, select, subprocess, sys, termios, time

LIMIT = 60.0


def main():
    cut = sys.argv.index('--')
    steps = [step.split('=>', 1) for step in sys.argv[1:cut]]
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)

    def own_terminal():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    child = subprocess.Popen(sys.argv[cut + 1:], stdin=slave, stdout=slave, stderr=slave, preexec_fn=own_terminal)
    shown = b''
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        readable, _, _ = select.select([master], [], [], 0.05)
        if readable:
            shown += os.read(master, 65536)
            continue
        if steps and steps[0][0].encode() in shown:
            time.sleep(0.2)  # the prompt is shown a moment before the terminal is made silent
            os.write(master, steps.pop(0)[1].encode().decode('unicode_escape').encode('latin-1'))
        elif child.poll() is not None:
            break
    else:
        child.kill()
    status = child.wait()
    print(json.dumps({
        'status': status,
        'shown': shown.decode('utf-8', 'replace'),
        'restored': termios.tcgetattr(slave)[:4] == before[:4],
        'stepsLeft': len(steps),
    }))


main()
