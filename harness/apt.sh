# shellcheck shell=bash disable=SC2154,SC2164 # the caller has set $apt, and -e
# Sourced after env.sh: what Debian has, fetched and not installed. apt does it
# with lists and a status of its own, in the directory $apt, which the caller
# sets: the system's lists, architectures and packages stay as they are, and it
# need not be root's.

private_apt() { # ARGUMENT...
	apt-get -o APT::Sandbox::User= -o Acquire::Retries=3 \
		-o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" \
		-o APT::Update::Post-Invoke::= -o APT::Update::Post-Invoke-Success::= "$@"
}

open_apt() {
	rm -rf "$apt"
	mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/sources"
	: >"$apt/status"
	cd "$apt"
}

# Packages of an architecture, unpacked in a directory
fetch_package() { # DEBARCH DIRECTORY PACKAGE...
	local package dir=$2 of=(-o APT::Architecture="$1" -o APT::Architectures="$1")
	shift 2
	open_apt
	private_apt "${of[@]}" update || : # as in fetch_source()
	private_apt "${of[@]}" download "$@"
	for package in ./*.deb; do dpkg-deb -x "$package" "$dir"; done
}

# From where the system has its packages there are their sources too.
fetch_source() { # ARGUMENT of apt-get source...
	local file from=(-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$apt/sources")
	open_apt
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		[ ! -f "$file" ] || sed 's/^deb[[:space:]]/deb-src /; s/^Types:.*/Types: deb-src/' "$file" >"$apt/sources/${file##*/}"
	done
	private_apt "${from[@]}" update || : # one list that fails matters only if it is the one with this source
	private_apt "${from[@]}" source --only-source "$@"
}
