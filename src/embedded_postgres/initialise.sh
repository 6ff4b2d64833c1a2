# Makes a cluster with its superuser and that user's database.
#
# Arguments: initdb, postgres, the (empty) folder, the name of user and database, on or off for
# fsync. Standard input is the server's lock file, so that the next start waits for this script's
# end even where the service was killed meanwhile.
set -eu

initdb=$1
postgres=$2
folder=$3
name=$4
fsync=$5

set --
if [ "$fsync" = off ]; then
    set -- --no-sync
fi

"$initdb" --pgdata="$folder" --username="$name" --auth-local=trust --auth-host=reject \
    --encoding=UTF8 --locale=C --data-checksums --no-instructions "$@"

echo "create database $name" |
    "$postgres" --single -D "$folder" -c fsync="$fsync" -c exit_on_error=on \
        -c log_checkpoints=off postgres
