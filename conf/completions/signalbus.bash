# shellcheck shell=bash
# bash completion of signalbus(1).  It takes commands and options from --help, and models from
# `signalbus signals`, so it always fits the installed program and its configuration.

# Fills the caller's variables from the help of a command, or of signalbus: arguments, the name of
# the argument of each option; commands; and takes_models.
_signalbus_read_help() {
	local line usage='^(usage:.*| +(\[.*)?)[ []NAME($|[]|].*\.\.\.$)'
	arguments=() commands=() takes_models=''
	while IFS= read -r line; do
		if [[ $line =~ ^\ +((-[a-zA-Z]),\ )?(--[a-z-]+)(\ ([A-Z]+))?\  ]]; then
			arguments[${BASH_REMATCH[3]}]=${BASH_REMATCH[5]}
			[[ -z ${BASH_REMATCH[2]} ]] || arguments[${BASH_REMATCH[2]}]=${BASH_REMATCH[5]}
		elif [[ $line =~ ^\ \ ([a-z][a-z-]*)(\ |$) ]]; then
			commands+=("${BASH_REMATCH[1]}")
		elif [[ $line =~ $usage ]]; then
			takes_models=yes
		fi
	done < <("$program" "$@" --help 2>/dev/null </dev/null)
}

_signalbus_complete_models() {
	local name quoted
	while IFS= read -r name; do
		if [[ $cur == [\'\"]* ]]; then
			[[ $name != "${cur:1}"* ]] || COMPREPLY+=("$name") # readline adds the quotes
		else
			printf -v quoted %q "$name"
			[[ $quoted != "$cur"* ]] || COMPREPLY+=("$quoted")
		fi
	done < <("$program" "${configuration[@]}" signals 2>/dev/null </dev/null)
	__ltrim_colon_completions "$cur"
}

_signalbus() {
	# shellcheck disable=SC2034 # split is set by _init_completion -s.
	local cur prev words cword split
	_init_completion -s -n : || return
	local program=${1/#\~/$HOME} command='' takes_models i
	local -A arguments
	local -a commands configuration=()

	_signalbus_read_help
	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		-c | --config) configuration=(-c "${words[++i]/#\~/$HOME}") ;;
		--config=*) configuration=(-c "${words[i]#*=}") ;;
		-*) [[ -z ${arguments[${words[i]}]} ]] || ((i++)) ;;
		*) command=${command:-${words[i]}} ;;
		esac
	done
	[[ -z $command ]] || _signalbus_read_help "$command"

	case ${arguments[$prev]}/$cur in
	FILE/*) _filedir ;;
	NAME/*) _signalbus_complete_models ;;
	[A-Z]*/*) ;; # a number
	/-*) mapfile -t COMPREPLY < <(compgen -W "${!arguments[*]}" -- "$cur") ;;
	*)
		if [[ -z $command ]]; then
			mapfile -t COMPREPLY < <(compgen -W "${commands[*]}" -- "$cur")
		elif [[ -n $takes_models ]]; then
			_signalbus_complete_models
		fi
		;;
	esac
} &&
	complete -F _signalbus signalbus
