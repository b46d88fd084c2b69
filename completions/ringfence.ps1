
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'ringfence' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'ringfence'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'ringfence' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Run a command inside the boundary')
            [CompletionResult]::new('plan', 'plan', [CompletionResultType]::ParameterValue, 'Show what would be enforced, how strongly, and by what')
            [CompletionResult]::new('why', 'why', [CompletionResultType]::ParameterValue, 'Say which rule decides, with its file and line')
            [CompletionResult]::new('verify', 'verify', [CompletionResultType]::ParameterValue, 'Try to get out, and show what held')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Show what this machine can enforce, with the reason for every "no"')
            [CompletionResult]::new('log', 'log', [CompletionResultType]::ParameterValue, 'List the receipts of past runs and verify their hash chain')
            [CompletionResult]::new('grants', 'grants', [CompletionResultType]::ParameterValue, 'List what was changed on disk, and take it back (Windows)')
            [CompletionResult]::new('policy', 'policy', [CompletionResultType]::ParameterValue, 'Write, check and describe policy files')
            break
        }
        'ringfence;run' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Start from a built-in profile: workspace (the default), read-only or guard')
            [CompletionResult]::new('--policy', '--policy', [CompletionResultType]::ParameterName, 'Start from a policy file')
            [CompletionResult]::new('--workspace', '--workspace', [CompletionResultType]::ParameterName, 'The project: what `.` and relative paths in a policy mean [default: the current directory]')
            [CompletionResult]::new('--write', '--write', [CompletionResultType]::ParameterName, 'Let the command write below PATH')
            [CompletionResult]::new('--protect', '--protect', [CompletionResultType]::ParameterName, 'Keep PATH unchanged, even inside a writable directory')
            [CompletionResult]::new('--read', '--read', [CompletionResultType]::ParameterName, 'Let the command read below PATH')
            [CompletionResult]::new('--hide', '--hide', [CompletionResultType]::ParameterName, 'Hide PATH: the command can neither read nor list it')
            [CompletionResult]::new('--network', '--network', [CompletionResultType]::ParameterName, 'How much of the network the command has')
            [CompletionResult]::new('--allow', '--allow', [CompletionResultType]::ParameterName, 'Let the command reach HOST, or HOST:PORT (else ports 443 and 80); *.example.com means every name below it')
            [CompletionResult]::new('--unix-socket', '--unix-socket', [CompletionResultType]::ParameterName, 'Let the command connect to the host''s Unix socket PATH')
            [CompletionResult]::new('--pass', '--pass', [CompletionResultType]::ParameterName, 'Hand over an environment variable; NAME may end in *')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'Set an environment variable')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'End the command and all its processes after DURATION: 30s, 10m, 2h')
            [CompletionResult]::new('--memory', '--memory', [CompletionResultType]::ParameterName, 'Limit the memory of the command and all its processes: 512MiB, 4GiB')
            [CompletionResult]::new('--processes', '--processes', [CompletionResultType]::ParameterName, 'Limit the number of processes and threads')
            [CompletionResult]::new('--cpus', '--cpus', [CompletionResultType]::ParameterName, 'Limit the processor time to that of NUMBER processors: 0.5, 2')
            [CompletionResult]::new('--accept-degraded', '--accept-degraded', [CompletionResultType]::ParameterName, 'Run although RULE is not enforced by the kernel here, for example network or filesystem.hide')
            [CompletionResult]::new('--keep-fd', '--keep-fd', [CompletionResultType]::ParameterName, 'Hand over the open file descriptor N besides 0, 1 and 2')
            [CompletionResult]::new('--mechanism', '--mechanism', [CompletionResultType]::ParameterName, 'What holds the command')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'No network, whatever the policy says')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Give the command a terminal of its own, for shells and full-screen programs')
            [CompletionResult]::new('--tty', '--tty', [CompletionResultType]::ParameterName, 'Give the command a terminal of its own, for shells and full-screen programs')
            [CompletionResult]::new('--ask', '--ask', [CompletionResultType]::ParameterName, 'Ask on the terminal about hosts that no rule of an allowlist names; the command''s input is then empty')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing but errors: no list of blocked hosts or quarantined files after the command')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing but errors: no list of blocked hosts or quarantined files after the command')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the receipt, or the error, as one line of JSON on standard error')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ringfence;plan' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Start from a built-in profile: workspace (the default), read-only or guard')
            [CompletionResult]::new('--policy', '--policy', [CompletionResultType]::ParameterName, 'Start from a policy file')
            [CompletionResult]::new('--workspace', '--workspace', [CompletionResultType]::ParameterName, 'The project: what `.` and relative paths in a policy mean [default: the current directory]')
            [CompletionResult]::new('--write', '--write', [CompletionResultType]::ParameterName, 'Let the command write below PATH')
            [CompletionResult]::new('--protect', '--protect', [CompletionResultType]::ParameterName, 'Keep PATH unchanged, even inside a writable directory')
            [CompletionResult]::new('--read', '--read', [CompletionResultType]::ParameterName, 'Let the command read below PATH')
            [CompletionResult]::new('--hide', '--hide', [CompletionResultType]::ParameterName, 'Hide PATH: the command can neither read nor list it')
            [CompletionResult]::new('--network', '--network', [CompletionResultType]::ParameterName, 'How much of the network the command has')
            [CompletionResult]::new('--allow', '--allow', [CompletionResultType]::ParameterName, 'Let the command reach HOST, or HOST:PORT (else ports 443 and 80); *.example.com means every name below it')
            [CompletionResult]::new('--unix-socket', '--unix-socket', [CompletionResultType]::ParameterName, 'Let the command connect to the host''s Unix socket PATH')
            [CompletionResult]::new('--pass', '--pass', [CompletionResultType]::ParameterName, 'Hand over an environment variable; NAME may end in *')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'Set an environment variable')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'End the command and all its processes after DURATION: 30s, 10m, 2h')
            [CompletionResult]::new('--memory', '--memory', [CompletionResultType]::ParameterName, 'Limit the memory of the command and all its processes: 512MiB, 4GiB')
            [CompletionResult]::new('--processes', '--processes', [CompletionResultType]::ParameterName, 'Limit the number of processes and threads')
            [CompletionResult]::new('--cpus', '--cpus', [CompletionResultType]::ParameterName, 'Limit the processor time to that of NUMBER processors: 0.5, 2')
            [CompletionResult]::new('--accept-degraded', '--accept-degraded', [CompletionResultType]::ParameterName, 'Run although RULE is not enforced by the kernel here, for example network or filesystem.hide')
            [CompletionResult]::new('--keep-fd', '--keep-fd', [CompletionResultType]::ParameterName, 'Hand over the open file descriptor N besides 0, 1 and 2')
            [CompletionResult]::new('--mechanism', '--mechanism', [CompletionResultType]::ParameterName, 'What holds the command')
            [CompletionResult]::new('--facts', '--facts', [CompletionResultType]::ParameterName, 'Plan from the facts in FILE instead of this machine''s, as `--save-facts` wrote them on another one')
            [CompletionResult]::new('--target', '--target', [CompletionResultType]::ParameterName, 'The system that the facts must be of')
            [CompletionResult]::new('--save-facts', '--save-facts', [CompletionResultType]::ParameterName, 'Write what the plan is made from to FILE')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'No network, whatever the policy says')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Give the command a terminal of its own, for shells and full-screen programs')
            [CompletionResult]::new('--tty', '--tty', [CompletionResultType]::ParameterName, 'Give the command a terminal of its own, for shells and full-screen programs')
            [CompletionResult]::new('--ask', '--ask', [CompletionResultType]::ParameterName, 'Ask on the terminal about hosts that no rule of an allowlist names; the command''s input is then empty')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the whole plan as JSON')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ringfence;why' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('write', 'write', [CompletionResultType]::ParameterValue, 'May a command write PATH?')
            [CompletionResult]::new('read', 'read', [CompletionResultType]::ParameterValue, 'May a command read PATH?')
            [CompletionResult]::new('connect', 'connect', [CompletionResultType]::ParameterValue, 'May a command connect to a host?')
            break
        }
        'ringfence;why;write' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Start from a built-in profile: workspace (the default), read-only or guard')
            [CompletionResult]::new('--policy', '--policy', [CompletionResultType]::ParameterName, 'Start from a policy file')
            [CompletionResult]::new('--workspace', '--workspace', [CompletionResultType]::ParameterName, 'The project: what `.` and relative paths in a policy mean [default: the current directory]')
            [CompletionResult]::new('--write', '--write', [CompletionResultType]::ParameterName, 'Let the command write below PATH')
            [CompletionResult]::new('--protect', '--protect', [CompletionResultType]::ParameterName, 'Keep PATH unchanged, even inside a writable directory')
            [CompletionResult]::new('--read', '--read', [CompletionResultType]::ParameterName, 'Let the command read below PATH')
            [CompletionResult]::new('--hide', '--hide', [CompletionResultType]::ParameterName, 'Hide PATH: the command can neither read nor list it')
            [CompletionResult]::new('--network', '--network', [CompletionResultType]::ParameterName, 'How much of the network the command has')
            [CompletionResult]::new('--allow', '--allow', [CompletionResultType]::ParameterName, 'Let the command reach HOST, or HOST:PORT (else ports 443 and 80); *.example.com means every name below it')
            [CompletionResult]::new('--unix-socket', '--unix-socket', [CompletionResultType]::ParameterName, 'Let the command connect to the host''s Unix socket PATH')
            [CompletionResult]::new('--pass', '--pass', [CompletionResultType]::ParameterName, 'Hand over an environment variable; NAME may end in *')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'Set an environment variable')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'End the command and all its processes after DURATION: 30s, 10m, 2h')
            [CompletionResult]::new('--memory', '--memory', [CompletionResultType]::ParameterName, 'Limit the memory of the command and all its processes: 512MiB, 4GiB')
            [CompletionResult]::new('--processes', '--processes', [CompletionResultType]::ParameterName, 'Limit the number of processes and threads')
            [CompletionResult]::new('--cpus', '--cpus', [CompletionResultType]::ParameterName, 'Limit the processor time to that of NUMBER processors: 0.5, 2')
            [CompletionResult]::new('--accept-degraded', '--accept-degraded', [CompletionResultType]::ParameterName, 'Run although RULE is not enforced by the kernel here, for example network or filesystem.hide')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'No network, whatever the policy says')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ringfence;why;read' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Start from a built-in profile: workspace (the default), read-only or guard')
            [CompletionResult]::new('--policy', '--policy', [CompletionResultType]::ParameterName, 'Start from a policy file')
            [CompletionResult]::new('--workspace', '--workspace', [CompletionResultType]::ParameterName, 'The project: what `.` and relative paths in a policy mean [default: the current directory]')
            [CompletionResult]::new('--write', '--write', [CompletionResultType]::ParameterName, 'Let the command write below PATH')
            [CompletionResult]::new('--protect', '--protect', [CompletionResultType]::ParameterName, 'Keep PATH unchanged, even inside a writable directory')
            [CompletionResult]::new('--read', '--read', [CompletionResultType]::ParameterName, 'Let the command read below PATH')
            [CompletionResult]::new('--hide', '--hide', [CompletionResultType]::ParameterName, 'Hide PATH: the command can neither read nor list it')
            [CompletionResult]::new('--network', '--network', [CompletionResultType]::ParameterName, 'How much of the network the command has')
            [CompletionResult]::new('--allow', '--allow', [CompletionResultType]::ParameterName, 'Let the command reach HOST, or HOST:PORT (else ports 443 and 80); *.example.com means every name below it')
            [CompletionResult]::new('--unix-socket', '--unix-socket', [CompletionResultType]::ParameterName, 'Let the command connect to the host''s Unix socket PATH')
            [CompletionResult]::new('--pass', '--pass', [CompletionResultType]::ParameterName, 'Hand over an environment variable; NAME may end in *')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'Set an environment variable')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'End the command and all its processes after DURATION: 30s, 10m, 2h')
            [CompletionResult]::new('--memory', '--memory', [CompletionResultType]::ParameterName, 'Limit the memory of the command and all its processes: 512MiB, 4GiB')
            [CompletionResult]::new('--processes', '--processes', [CompletionResultType]::ParameterName, 'Limit the number of processes and threads')
            [CompletionResult]::new('--cpus', '--cpus', [CompletionResultType]::ParameterName, 'Limit the processor time to that of NUMBER processors: 0.5, 2')
            [CompletionResult]::new('--accept-degraded', '--accept-degraded', [CompletionResultType]::ParameterName, 'Run although RULE is not enforced by the kernel here, for example network or filesystem.hide')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'No network, whatever the policy says')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ringfence;why;connect' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Start from a built-in profile: workspace (the default), read-only or guard')
            [CompletionResult]::new('--policy', '--policy', [CompletionResultType]::ParameterName, 'Start from a policy file')
            [CompletionResult]::new('--workspace', '--workspace', [CompletionResultType]::ParameterName, 'The project: what `.` and relative paths in a policy mean [default: the current directory]')
            [CompletionResult]::new('--write', '--write', [CompletionResultType]::ParameterName, 'Let the command write below PATH')
            [CompletionResult]::new('--protect', '--protect', [CompletionResultType]::ParameterName, 'Keep PATH unchanged, even inside a writable directory')
            [CompletionResult]::new('--read', '--read', [CompletionResultType]::ParameterName, 'Let the command read below PATH')
            [CompletionResult]::new('--hide', '--hide', [CompletionResultType]::ParameterName, 'Hide PATH: the command can neither read nor list it')
            [CompletionResult]::new('--network', '--network', [CompletionResultType]::ParameterName, 'How much of the network the command has')
            [CompletionResult]::new('--allow', '--allow', [CompletionResultType]::ParameterName, 'Let the command reach HOST, or HOST:PORT (else ports 443 and 80); *.example.com means every name below it')
            [CompletionResult]::new('--unix-socket', '--unix-socket', [CompletionResultType]::ParameterName, 'Let the command connect to the host''s Unix socket PATH')
            [CompletionResult]::new('--pass', '--pass', [CompletionResultType]::ParameterName, 'Hand over an environment variable; NAME may end in *')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'Set an environment variable')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'End the command and all its processes after DURATION: 30s, 10m, 2h')
            [CompletionResult]::new('--memory', '--memory', [CompletionResultType]::ParameterName, 'Limit the memory of the command and all its processes: 512MiB, 4GiB')
            [CompletionResult]::new('--processes', '--processes', [CompletionResultType]::ParameterName, 'Limit the number of processes and threads')
            [CompletionResult]::new('--cpus', '--cpus', [CompletionResultType]::ParameterName, 'Limit the processor time to that of NUMBER processors: 0.5, 2')
            [CompletionResult]::new('--accept-degraded', '--accept-degraded', [CompletionResultType]::ParameterName, 'Run although RULE is not enforced by the kernel here, for example network or filesystem.hide')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'No network, whatever the policy says')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ringfence;verify' {
            [CompletionResult]::new('--mechanism', '--mechanism', [CompletionResultType]::ParameterName, 'What should hold them')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one line of JSON for each way out')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ringfence;doctor' {
            [CompletionResult]::new('--facts', '--facts', [CompletionResultType]::ParameterName, 'Show the machine whose facts are in FILE, as `ringfence plan --save-facts` wrote them there')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the findings as JSON')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'ringfence;log' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Show only the last N receipts')
            [CompletionResult]::new('--last', '--last', [CompletionResultType]::ParameterName, 'Show only the last N receipts')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'Only verify the hash chain')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print each receipt as one line of JSON')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ringfence;grants' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List every root that was granted, and what in it was left alone')
            [CompletionResult]::new('revoke', 'revoke', [CompletionResultType]::ParameterValue, 'Take permissions back, so that each is as it was before')
            break
        }
        'ringfence;grants;list' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'ringfence;grants;revoke' {
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Take back the grants of every workspace')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ringfence;policy' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Write a commented policy file to start from')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Read a policy file, run its own tests, and warn about what lets code or secrets out')
            [CompletionResult]::new('schema', 'schema', [CompletionResultType]::ParameterValue, 'Print the JSON Schema of policy files, for editors')
            break
        }
        'ringfence;policy;init' {
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace the file if it exists')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the error, if there is one, as JSON')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'ringfence;policy;check' {
            [CompletionResult]::new('--workspace', '--workspace', [CompletionResultType]::ParameterName, 'The project: what `.` and relative paths in the policy mean [default: the current directory]')
            [CompletionResult]::new('--strict', '--strict', [CompletionResultType]::ParameterName, 'Fail if there are warnings')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the findings as JSON')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ringfence;policy;schema' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
