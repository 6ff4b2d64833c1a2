# Runs the server, and lives as long as it does.
#
# Arguments: the socket folder, a folder to remove as well ("" for none), the server's command line.
# Standard input is a pipe whose other end the service alone holds. A line on it names a signal for
# the server; its end means that the service is gone, however it went, and stops the server.
# Standard output is the server's lock file: it stays locked until the last process that inherited
# it has ended.

# A signal to the whole group or control group is for the service, which then closes the pipe.
trap '' HUP INT TERM

sockets=$1
discard=$2
shift 2

# Postgres' fast shutdown; where the data is not kept, the immediate one, without a checkpoint.
stop=INT
if [ -n "$discard" ]; then
    stop=QUIT
fi

# A background command's standard input is /dev/null, hence the copy.
exec 3<&0 </dev/null

"$@" 3<&- &
server=$!

{
    while read -r signal; do
        kill -s "$signal" "$server" 2>/dev/null
    done
    # Until it is gone: a server that has only just begun does not hear the signal yet. What sleeps
    # does not hold the lock.
    while kill -s "$stop" "$server" 2>/dev/null; do
        sleep 1 >/dev/null
    done
} <&3 &
watcher=$!
exec 3<&-

wait "$server"
status=$?

# KILL, because the watcher ignores what the trap above ignores.
kill -s KILL "$watcher" 2>/dev/null
wait "$watcher" 2>/dev/null

rm -rf -- "$sockets"
if [ -n "$discard" ]; then
    rm -rf -- "$discard"
fi
exit "$status"
