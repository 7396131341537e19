# Waits until the watched process is gone, then ends the servers it left behind and deletes their folder.
# usage: sh -c <this> guard <watched pid> <its start time> <folder>
# The folder's file "processes" names the servers: a line "<pid> <start time>" each.
watched=$1 started=$2 folder=$3

# Is process $1 the one that started at $2? Numbers are given again.
alive() {
    read -r line 2>/dev/null <"/proc/$1/stat" || return 1
    ticks=$2
    # Fields after the command name, which may hold blanks: state is the first, the start time the twentieth.
    set -- ${line##*) }
    [ "${20}" = "$ticks" ]
}

end_tree() {
    kill -STOP "$1" 2>/dev/null
    for stat in /proc/[0-9]*/stat; do
        read -r line 2>/dev/null <"$stat" || continue
        set -- "$1" ${line##*) }
        pid=${stat#/proc/}
        [ "$3" = "$1" ] && (end_tree "${pid%/stat}")
    done
    kill -KILL "$1" 2>/dev/null
}

while alive "$watched" "$started"; do
    # The test ended everything by itself.
    [ -d "$folder" ] || exit 0
    sleep 0.5
done
if [ -f "$folder/processes" ]; then
    while read -r pid ticks; do
        alive "$pid" "$ticks" && (end_tree "$pid")
    done <"$folder/processes"
fi
rm -rf "$folder"
