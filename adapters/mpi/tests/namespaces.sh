#!/usr/bin/env bash
# Runs a program on ranks of their own network namespaces, which talk TCP through virtual cables of a limited rate:
#
#     tests/namespaces.sh RANKS RATE [PROGRAM [ARGUMENT…]]
#     tests/namespaces.sh 4 1gbit target/release/examples/scaling
#
# Needs root, iproute2, and a kernel with namespaces, virtual Ethernet, a bridge and `tbf`. Everything it sets up is gone at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ranks=${1:?the number of ranks}
rate=${2:?the rate of each cable, as tc takes it}
shift 2
(($# > 0)) || set -- target/release/examples/scaling
program=$(realpath "$1")
shift

name=fdmpi$$
agent=$(mktemp)

cleanup() {
    for ((rank = 0; rank <= ranks; rank++)); do
        ip netns del "$name-$rank" 2>/dev/null || true
    done
    rm -f "$agent"
}
trap cleanup EXIT

# The first namespace holds the bridge and mpirun, each other one a rank.
hub=$name-0
ip netns add "$hub"
ip -n "$hub" link set lo up
ip -n "$hub" link add hub type bridge
ip -n "$hub" addr add 10.213.0.254/24 dev hub
ip -n "$hub" link set hub up
hosts=()
for ((rank = 1; rank <= ranks; rank++)); do
    space=$name-$rank
    ip netns add "$space"
    ip -n "$space" link set lo up
    ip -n "$hub" link add "port$rank" type veth peer name cable netns "$space"
    ip -n "$hub" link set "port$rank" master hub up
    ip -n "$space" addr add "10.213.0.$rank/24" dev cable
    ip -n "$space" link set cable up
    # Both ways: what a rank sends, and what it gets.
    ip netns exec "$space" tc qdisc add dev cable root tbf rate "$rate" burst 256kb latency 400ms
    ip netns exec "$hub" tc qdisc add dev "port$rank" root tbf rate "$rate" burst 256kb latency 400ms
    hosts+=("10.213.0.$rank:1")
done

# Stands in for ssh: enters the namespace whose address is asked for.
cat >"$agent" <<EOF
#!/usr/bin/env bash
set -eu
while [[ \$1 == -* ]]; do shift; done
rank=\${1##*.}
shift
exec ip netns exec "$name-\$rank" bash -c "\$*"
EOF
chmod +x "$agent"

ip netns exec "$hub" mpirun --allow-run-as-root -n "$ranks" --host "$(IFS=,; echo "${hosts[*]}")" \
    --mca plm_rsh_agent "$agent" --mca btl tcp,self --mca btl_tcp_if_include 10.213.0.0/24 \
    --mca oob_tcp_if_include 10.213.0.0/24 --mca orte_keep_fqdn_hostnames true \
    --mca pml ob1 --bind-to none "$program" "$@"
