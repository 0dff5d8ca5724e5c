# What dev/kafka, dev/redis and dev/with-servers share: how a server process is started, found
# again and signalled. Sourced, never run.
#
# A NODE is the folder of one server process: its settings, its data, its log, and either `pid`
# or, where there is no native server but a container engine, `container` (a name).

# Says what went wrong and ends the script.
fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# wait_until SECONDS COMMAND...: asks again and again; false when the time is over.
wait_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.05
  done
}

port_is_free() {
  ! (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# free_ports COUNT: the first of COUNT free ports in a row. They are taken at random, so that two
# scripts at the same time do not pick the same ones, and below the range from which the system
# takes ports for outgoing connections, so that nobody gets them before the server does.
free_ports() {
  local first port
  while true; do
    first=$((20000 + RANDOM % 12000))
    for ((port = first; port < first + $1; port++)); do
      port_is_free "$port" || continue 2
    done
    echo "$first"
    return
  done
}

engine_works() {
  docker info >/dev/null 2>&1
}

# launch NODE COMMAND...: starts a native server that outlives this script. It gets a session of
# its own, so that a Ctrl-C meant for a test does not reach it.
launch() {
  local node=$1
  shift
  setsid "$@" >>"$node/log" 2>&1 </dev/null &
  disown
  echo "$! $(start_time $!)" >"$node/pid"
}

# launch_container NODE PORT DOCKER_RUN_ARGUMENTS...
launch_container() {
  local node=$1 name=retell-${0##*/}-$2
  shift 2
  echo "$name" >"$node/container"
  # The host's network, so that a server has the same ports and settings as a native one.
  docker run --detach --name "$name" --network host "$@" >>"$node/log"
}

# start_time PID: in ticks. The system gives a pid to others later; pid and start time together
# name one process. Fails when it has ended, even if nobody has collected it yet. Its ports and
# files are free only when its last thread is gone, which may be after the first.
start_time() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  read -ra stat <<<"${stat##*) }" # before it stands the name, which may hold anything
  [[ ${stat[0]} != Z || ${stat[17]} -gt 1 ]] && echo "${stat[19]}"
}

is_running() {
  local pid started
  if [[ -f $1/container ]]; then
    [[ $(docker inspect --format '{{.State.Running}}' "$(<"$1/container")" 2>&1) == true ]]
  else
    [[ -f $1/pid ]] && read -r pid started <"$1/pid" &&
      [[ -n $started && $(start_time "$pid") == "$started" ]]
  fi
}

is_down() {
  ! is_running "$1"
}

# port_can_be_used NODE PORT: says into the node's log why not. Without this look a stranger on
# that port would be taken for the server.
port_can_be_used() {
  port_is_free "$2" || { echo "port $2 is taken" >>"$1/log" && false; }
}

# signal NAME NODE...: to those that run.
signal() {
  local name=$1 node pid
  shift
  for node in "$@"; do
    is_running "$node" || continue
    if [[ -f $node/container ]]; then
      docker kill --signal "$name" "$(<"$node/container")" >/dev/null
    else
      read -r pid _ <"$node/pid"
      kill -s "$name" "$pid"
    fi
  done
}

# Ends servers at once, as a crash does.
kill_nodes() {
  local node
  signal KILL "$@"
  for node in "$@"; do
    wait_until 10 is_down "$node" || fail "$node does not end"
  done
}

# Ends servers in order; what has not ended after ten seconds is killed.
stop_nodes() {
  local node
  signal TERM "$@"
  signal CONT "$@" # a paused process hears TERM only now
  for node in "$@"; do
    wait_until 10 is_down "$node" || kill_nodes "$node"
  done
}

# remove DIR: kills every server in or below DIR and deletes DIR.
remove() {
  local dir=$1 file
  while IFS= read -r file; do
    kill_nodes "${file%/*}"
    [[ $file == */pid ]] || docker rm --force --volumes "$(<"$file")" >/dev/null
  done < <(find "$dir" -name pid -o -name container)
  rm -rf "$dir"
}
