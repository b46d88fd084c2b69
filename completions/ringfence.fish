# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ringfence_global_optspecs
    string join \n h/help V/version
end

function __fish_ringfence_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_ringfence_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_ringfence_using_subcommand
    set -l cmd (__fish_ringfence_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c ringfence -n "__fish_ringfence_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringfence -n "__fish_ringfence_needs_command" -s V -l version -d 'Print version'
complete -c ringfence -n "__fish_ringfence_needs_command" -f -a "run" -d 'Run a command inside the boundary'
complete -c ringfence -n "__fish_ringfence_needs_command" -f -a "plan" -d 'Show what would be enforced, how strongly, and by what'
complete -c ringfence -n "__fish_ringfence_needs_command" -f -a "why" -d 'Say which rule decides, with its file and line'
complete -c ringfence -n "__fish_ringfence_needs_command" -f -a "verify" -d 'Try to get out, and show what held'
complete -c ringfence -n "__fish_ringfence_needs_command" -f -a "doctor" -d 'Show what this machine can enforce, with the reason for every "no"'
complete -c ringfence -n "__fish_ringfence_needs_command" -f -a "log" -d 'List the receipts of past runs and verify their hash chain'
complete -c ringfence -n "__fish_ringfence_needs_command" -f -a "grants" -d 'List what was changed on disk, and take it back (Windows)'
complete -c ringfence -n "__fish_ringfence_needs_command" -f -a "policy" -d 'Write, check and describe policy files'
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l profile -d 'Start from a built-in profile: workspace (the default), read-only or guard' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l policy -d 'Start from a policy file' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l workspace -d 'The project: what `.` and relative paths in a policy mean [default: the current directory]' -r -f -a "(__fish_complete_directories)"
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l write -d 'Let the command write below PATH' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l protect -d 'Keep PATH unchanged, even inside a writable directory' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l read -d 'Let the command read below PATH' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l hide -d 'Hide PATH: the command can neither read nor list it' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l network -d 'How much of the network the command has' -r -f -a "off\t''
allowlist\t''
open\t''"
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l allow -d 'Let the command reach HOST, or HOST:PORT (else ports 443 and 80); *.example.com means every name below it' -r -f -a "(__fish_print_hostnames)"
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l unix-socket -d 'Let the command connect to the host\'s Unix socket PATH' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l pass -d 'Hand over an environment variable; NAME may end in *' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l set -d 'Set an environment variable' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l timeout -d 'End the command and all its processes after DURATION: 30s, 10m, 2h' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l memory -d 'Limit the memory of the command and all its processes: 512MiB, 4GiB' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l processes -d 'Limit the number of processes and threads' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l cpus -d 'Limit the processor time to that of NUMBER processors: 0.5, 2' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l accept-degraded -d 'Run although RULE is not enforced by the kernel here, for example network or filesystem.hide' -r -f -a "filesystem.write\t''
filesystem.metadata\t''
filesystem.protect\t''
filesystem.read\t''
filesystem.hide\t''
network\t''
network.unix_sockets\t''
process.tree\t''
process.timeout\t''
process.memory\t''
process.processes\t''
process.cpus\t''
environment\t''"
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l keep-fd -d 'Hand over the open file descriptor N besides 0, 1 and 2' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l mechanism -d 'What holds the command' -r -f -a "auto\t'Namespaces where the kernel allows them, else Landlock'
namespaces\t'User, mount, PID, network, IPC and UTS namespaces'
landlock\t'Landlock and seccomp alone'"
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l offline -d 'No network, whatever the policy says'
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -s t -l tty -d 'Give the command a terminal of its own, for shells and full-screen programs'
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l ask -d 'Ask on the terminal about hosts that no rule of an allowlist names; the command\'s input is then empty'
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -s q -l quiet -d 'Print nothing but errors: no list of blocked hosts or quarantined files after the command'
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -l json -d 'Print the receipt, or the error, as one line of JSON on standard error'
complete -c ringfence -n "__fish_ringfence_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l profile -d 'Start from a built-in profile: workspace (the default), read-only or guard' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l policy -d 'Start from a policy file' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l workspace -d 'The project: what `.` and relative paths in a policy mean [default: the current directory]' -r -f -a "(__fish_complete_directories)"
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l write -d 'Let the command write below PATH' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l protect -d 'Keep PATH unchanged, even inside a writable directory' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l read -d 'Let the command read below PATH' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l hide -d 'Hide PATH: the command can neither read nor list it' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l network -d 'How much of the network the command has' -r -f -a "off\t''
allowlist\t''
open\t''"
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l allow -d 'Let the command reach HOST, or HOST:PORT (else ports 443 and 80); *.example.com means every name below it' -r -f -a "(__fish_print_hostnames)"
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l unix-socket -d 'Let the command connect to the host\'s Unix socket PATH' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l pass -d 'Hand over an environment variable; NAME may end in *' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l set -d 'Set an environment variable' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l timeout -d 'End the command and all its processes after DURATION: 30s, 10m, 2h' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l memory -d 'Limit the memory of the command and all its processes: 512MiB, 4GiB' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l processes -d 'Limit the number of processes and threads' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l cpus -d 'Limit the processor time to that of NUMBER processors: 0.5, 2' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l accept-degraded -d 'Run although RULE is not enforced by the kernel here, for example network or filesystem.hide' -r -f -a "filesystem.write\t''
filesystem.metadata\t''
filesystem.protect\t''
filesystem.read\t''
filesystem.hide\t''
network\t''
network.unix_sockets\t''
process.tree\t''
process.timeout\t''
process.memory\t''
process.processes\t''
process.cpus\t''
environment\t''"
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l keep-fd -d 'Hand over the open file descriptor N besides 0, 1 and 2' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l mechanism -d 'What holds the command' -r -f -a "auto\t'Namespaces where the kernel allows them, else Landlock'
namespaces\t'User, mount, PID, network, IPC and UTS namespaces'
landlock\t'Landlock and seccomp alone'"
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l facts -d 'Plan from the facts in FILE instead of this machine\'s, as `--save-facts` wrote them on another one' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l target -d 'The system that the facts must be of' -r -f -a "windows\t''"
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l save-facts -d 'Write what the plan is made from to FILE' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l offline -d 'No network, whatever the policy says'
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -s t -l tty -d 'Give the command a terminal of its own, for shells and full-screen programs'
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l ask -d 'Ask on the terminal about hosts that no rule of an allowlist names; the command\'s input is then empty'
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -l json -d 'Print the whole plan as JSON'
complete -c ringfence -n "__fish_ringfence_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and not __fish_seen_subcommand_from write read connect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and not __fish_seen_subcommand_from write read connect" -f -a "write" -d 'May a command write PATH?'
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and not __fish_seen_subcommand_from write read connect" -f -a "read" -d 'May a command read PATH?'
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and not __fish_seen_subcommand_from write read connect" -f -a "connect" -d 'May a command connect to a host?'
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l profile -d 'Start from a built-in profile: workspace (the default), read-only or guard' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l policy -d 'Start from a policy file' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l workspace -d 'The project: what `.` and relative paths in a policy mean [default: the current directory]' -r -f -a "(__fish_complete_directories)"
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l write -d 'Let the command write below PATH' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l protect -d 'Keep PATH unchanged, even inside a writable directory' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l read -d 'Let the command read below PATH' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l hide -d 'Hide PATH: the command can neither read nor list it' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l network -d 'How much of the network the command has' -r -f -a "off\t''
allowlist\t''
open\t''"
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l allow -d 'Let the command reach HOST, or HOST:PORT (else ports 443 and 80); *.example.com means every name below it' -r -f -a "(__fish_print_hostnames)"
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l unix-socket -d 'Let the command connect to the host\'s Unix socket PATH' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l pass -d 'Hand over an environment variable; NAME may end in *' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l set -d 'Set an environment variable' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l timeout -d 'End the command and all its processes after DURATION: 30s, 10m, 2h' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l memory -d 'Limit the memory of the command and all its processes: 512MiB, 4GiB' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l processes -d 'Limit the number of processes and threads' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l cpus -d 'Limit the processor time to that of NUMBER processors: 0.5, 2' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l accept-degraded -d 'Run although RULE is not enforced by the kernel here, for example network or filesystem.hide' -r -f -a "filesystem.write\t''
filesystem.metadata\t''
filesystem.protect\t''
filesystem.read\t''
filesystem.hide\t''
network\t''
network.unix_sockets\t''
process.tree\t''
process.timeout\t''
process.memory\t''
process.processes\t''
process.cpus\t''
environment\t''"
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l offline -d 'No network, whatever the policy says'
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -l json -d 'Print the answer as JSON'
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from write" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l profile -d 'Start from a built-in profile: workspace (the default), read-only or guard' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l policy -d 'Start from a policy file' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l workspace -d 'The project: what `.` and relative paths in a policy mean [default: the current directory]' -r -f -a "(__fish_complete_directories)"
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l write -d 'Let the command write below PATH' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l protect -d 'Keep PATH unchanged, even inside a writable directory' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l read -d 'Let the command read below PATH' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l hide -d 'Hide PATH: the command can neither read nor list it' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l network -d 'How much of the network the command has' -r -f -a "off\t''
allowlist\t''
open\t''"
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l allow -d 'Let the command reach HOST, or HOST:PORT (else ports 443 and 80); *.example.com means every name below it' -r -f -a "(__fish_print_hostnames)"
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l unix-socket -d 'Let the command connect to the host\'s Unix socket PATH' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l pass -d 'Hand over an environment variable; NAME may end in *' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l set -d 'Set an environment variable' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l timeout -d 'End the command and all its processes after DURATION: 30s, 10m, 2h' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l memory -d 'Limit the memory of the command and all its processes: 512MiB, 4GiB' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l processes -d 'Limit the number of processes and threads' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l cpus -d 'Limit the processor time to that of NUMBER processors: 0.5, 2' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l accept-degraded -d 'Run although RULE is not enforced by the kernel here, for example network or filesystem.hide' -r -f -a "filesystem.write\t''
filesystem.metadata\t''
filesystem.protect\t''
filesystem.read\t''
filesystem.hide\t''
network\t''
network.unix_sockets\t''
process.tree\t''
process.timeout\t''
process.memory\t''
process.processes\t''
process.cpus\t''
environment\t''"
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l offline -d 'No network, whatever the policy says'
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -l json -d 'Print the answer as JSON'
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from read" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l profile -d 'Start from a built-in profile: workspace (the default), read-only or guard' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l policy -d 'Start from a policy file' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l workspace -d 'The project: what `.` and relative paths in a policy mean [default: the current directory]' -r -f -a "(__fish_complete_directories)"
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l write -d 'Let the command write below PATH' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l protect -d 'Keep PATH unchanged, even inside a writable directory' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l read -d 'Let the command read below PATH' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l hide -d 'Hide PATH: the command can neither read nor list it' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l network -d 'How much of the network the command has' -r -f -a "off\t''
allowlist\t''
open\t''"
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l allow -d 'Let the command reach HOST, or HOST:PORT (else ports 443 and 80); *.example.com means every name below it' -r -f -a "(__fish_print_hostnames)"
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l unix-socket -d 'Let the command connect to the host\'s Unix socket PATH' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l pass -d 'Hand over an environment variable; NAME may end in *' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l set -d 'Set an environment variable' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l timeout -d 'End the command and all its processes after DURATION: 30s, 10m, 2h' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l memory -d 'Limit the memory of the command and all its processes: 512MiB, 4GiB' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l processes -d 'Limit the number of processes and threads' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l cpus -d 'Limit the processor time to that of NUMBER processors: 0.5, 2' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l accept-degraded -d 'Run although RULE is not enforced by the kernel here, for example network or filesystem.hide' -r -f -a "filesystem.write\t''
filesystem.metadata\t''
filesystem.protect\t''
filesystem.read\t''
filesystem.hide\t''
network\t''
network.unix_sockets\t''
process.tree\t''
process.timeout\t''
process.memory\t''
process.processes\t''
process.cpus\t''
environment\t''"
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l offline -d 'No network, whatever the policy says'
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -l json -d 'Print the answer as JSON'
complete -c ringfence -n "__fish_ringfence_using_subcommand why; and __fish_seen_subcommand_from connect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringfence -n "__fish_ringfence_using_subcommand verify" -l mechanism -d 'What should hold them' -r -f -a "auto\t'Namespaces where the kernel allows them, else Landlock'
namespaces\t'User, mount, PID, network, IPC and UTS namespaces'
landlock\t'Landlock and seccomp alone'"
complete -c ringfence -n "__fish_ringfence_using_subcommand verify" -l json -d 'Print one line of JSON for each way out'
complete -c ringfence -n "__fish_ringfence_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringfence -n "__fish_ringfence_using_subcommand doctor" -l facts -d 'Show the machine whose facts are in FILE, as `ringfence plan --save-facts` wrote them there' -r -F
complete -c ringfence -n "__fish_ringfence_using_subcommand doctor" -l json -d 'Print the findings as JSON'
complete -c ringfence -n "__fish_ringfence_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c ringfence -n "__fish_ringfence_using_subcommand log" -s n -l last -d 'Show only the last N receipts' -r
complete -c ringfence -n "__fish_ringfence_using_subcommand log" -l verify -d 'Only verify the hash chain'
complete -c ringfence -n "__fish_ringfence_using_subcommand log" -l json -d 'Print each receipt as one line of JSON'
complete -c ringfence -n "__fish_ringfence_using_subcommand log" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringfence -n "__fish_ringfence_using_subcommand grants; and not __fish_seen_subcommand_from list revoke" -l json -d 'Print the answer as JSON'
complete -c ringfence -n "__fish_ringfence_using_subcommand grants; and not __fish_seen_subcommand_from list revoke" -s h -l help -d 'Print help'
complete -c ringfence -n "__fish_ringfence_using_subcommand grants; and not __fish_seen_subcommand_from list revoke" -f -a "list" -d 'List every root that was granted, and what in it was left alone'
complete -c ringfence -n "__fish_ringfence_using_subcommand grants; and not __fish_seen_subcommand_from list revoke" -f -a "revoke" -d 'Take permissions back, so that each is as it was before'
complete -c ringfence -n "__fish_ringfence_using_subcommand grants; and __fish_seen_subcommand_from list" -l json -d 'Print the answer as JSON'
complete -c ringfence -n "__fish_ringfence_using_subcommand grants; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c ringfence -n "__fish_ringfence_using_subcommand grants; and __fish_seen_subcommand_from revoke" -l all -d 'Take back the grants of every workspace'
complete -c ringfence -n "__fish_ringfence_using_subcommand grants; and __fish_seen_subcommand_from revoke" -l json -d 'Print the answer as JSON'
complete -c ringfence -n "__fish_ringfence_using_subcommand grants; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringfence -n "__fish_ringfence_using_subcommand policy; and not __fish_seen_subcommand_from init check schema" -s h -l help -d 'Print help'
complete -c ringfence -n "__fish_ringfence_using_subcommand policy; and not __fish_seen_subcommand_from init check schema" -f -a "init" -d 'Write a commented policy file to start from'
complete -c ringfence -n "__fish_ringfence_using_subcommand policy; and not __fish_seen_subcommand_from init check schema" -f -a "check" -d 'Read a policy file, run its own tests, and warn about what lets code or secrets out'
complete -c ringfence -n "__fish_ringfence_using_subcommand policy; and not __fish_seen_subcommand_from init check schema" -f -a "schema" -d 'Print the JSON Schema of policy files, for editors'
complete -c ringfence -n "__fish_ringfence_using_subcommand policy; and __fish_seen_subcommand_from init" -l force -d 'Replace the file if it exists'
complete -c ringfence -n "__fish_ringfence_using_subcommand policy; and __fish_seen_subcommand_from init" -l json -d 'Print the error, if there is one, as JSON'
complete -c ringfence -n "__fish_ringfence_using_subcommand policy; and __fish_seen_subcommand_from init" -s h -l help -d 'Print help'
complete -c ringfence -n "__fish_ringfence_using_subcommand policy; and __fish_seen_subcommand_from check" -l workspace -d 'The project: what `.` and relative paths in the policy mean [default: the current directory]' -r -f -a "(__fish_complete_directories)"
complete -c ringfence -n "__fish_ringfence_using_subcommand policy; and __fish_seen_subcommand_from check" -l strict -d 'Fail if there are warnings'
complete -c ringfence -n "__fish_ringfence_using_subcommand policy; and __fish_seen_subcommand_from check" -l json -d 'Print the findings as JSON'
complete -c ringfence -n "__fish_ringfence_using_subcommand policy; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringfence -n "__fish_ringfence_using_subcommand policy; and __fish_seen_subcommand_from schema" -s h -l help -d 'Print help'
