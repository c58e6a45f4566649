# Prints the Makefile's targets by group: "##@ Group" lines, and "target: … ## what it does".
BEGIN { FS = ":.*## " }
/^##@ / { printf "\n%s\n", substr($0, 5) }
/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $1, $2 }
