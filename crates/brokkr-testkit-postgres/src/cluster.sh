# Makes a cluster in $directory, says "ready" or "failed", and takes all of it away when the standard input ends.
programs=$1
directory=$2

# Ctrl-C ends the owner; that ends our input, and then there is work to do. A dead owner also leaves nobody to read our answer.
trap '' HUP INT PIPE TERM
cd "$directory" || exit 1

if "$programs/initdb" --pgdata=data --username=brokkr --pwfile=password --auth=password \
    --encoding=UTF8 --locale=C --no-sync >log 2>&1 &&
    cat settings >>data/postgresql.conf &&
    "$programs/pg_ctl" start --pgdata=data --log=log --wait --timeout=60 --silent >>log 2>&1
then
    echo ready
else
    echo failed
fi

cat >/dev/null
"$programs/pg_ctl" stop --pgdata=data --mode=immediate --silent >>log 2>&1
cd /
rm -rf "$directory"
