# Makes a cluster in $directory, says "ready" or "failed", and takes all of it away when the standard input ends. Until then
# each line of the input is done and answered in the same way: "crash" stops the server as a power cut would, "start" starts it.
programs=$1
directory=$2

# Ctrl-C ends the owner; that ends our input, and then there is work to do. A dead owner also leaves nobody to read our answer.
trap '' HUP INT PIPE TERM
cd "$directory" || exit 1

server() {
    "$programs/pg_ctl" "$@" --pgdata=data --silent >>log 2>&1 </dev/null
}
start() {
    server start --log=log --wait --timeout=60
}
answer() {
    if "$@"; then echo ready; else echo failed; fi
}

make() {
    "$programs/initdb" --pgdata=data --username=brokkr --pwfile=password --auth=password \
        --encoding=UTF8 --locale=C --no-sync >log 2>&1 </dev/null &&
        cat settings >>data/postgresql.conf &&
        start
}

answer make
while read -r order; do
    case $order in
        crash) answer server stop --mode=immediate --wait --timeout=60 ;;
        start) answer start ;;
    esac
done
server stop --mode=immediate
cd /
rm -rf "$directory"
