# Runs chromedriver until standard input ends, which happens when the test ends however it ends. $1 is the driver, $2 the directory
# that the browser keeps everything in.
trap '' TERM
(
    trap - TERM
    exec "$1" --port=0 --log-level=SEVERE
) </dev/null &
cat >/dev/null
# The group is this shell, the driver, and all processes of the browser.
kill -TERM 0
tries=0
while kill -0 "$!" 2>/dev/null && [ "$tries" -lt 20 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
rm -rf "$2"
kill -KILL 0
