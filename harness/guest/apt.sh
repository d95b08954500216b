# shellcheck shell=bash disable=SC2154,SC2164 # the caller has set $apt, and -e
# Sourced after env.sh: downloads packages and sources of Debian without installing them.
# apt has lists and a status of its own in the directory $apt, which the caller sets, so
# the tool root does not change.

# Prints the line of a suite for sources.list, with the mirror of the tool root.
suite_from() { # deb|deb-src SUITE
	sed -n "s|^deb \([^ ]*\) trixie main\$|$1 \1 $2 main|p" /etc/apt/sources.list
}

private_apt() { # ARGUMENT...
	apt-get -o APT::Sandbox::User= -o Acquire::Retries=3 \
		-o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" \
		-o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o APT::Update::Post-Invoke::= -o APT::Update::Post-Invoke-Success::= "$@"
}

open_apt() { # deb|deb-src SUITE
	rm -rf "$apt"
	mkdir -p "$apt/lists/partial" "$apt/archives/partial"
	suite_from "$@" >"$apt/sources.list"
	: >"$apt/status"
	cd "$apt"
}

# Prints the suite of an architecture: Debian 13 does not have all.
suite_of() { # DEBARCH
	case $1 in
	loong64) echo sid ;;
	*) echo trixie ;;
	esac
}

# Downloads packages of an architecture and unpacks them in a directory.
fetch_package() { # DEBARCH DIRECTORY PACKAGE...
	local package dir=$2 of=(-o APT::Architecture="$1" -o APT::Architectures="$1")
	open_apt deb "$(suite_of "$1")"
	shift 2
	private_apt "${of[@]}" update
	private_apt "${of[@]}" download "$@"
	for package in ./*.deb; do dpkg-deb -x "$package" "$dir"; done
}

fetch_source() { # SUITE ARGUMENT of apt-get source...
	open_apt deb-src "$1"
	shift
	private_apt update
	private_apt source --only-source "$@"
}
