// Completion scripts, generated from the definitions of the commands.
import type { Command } from 'commander'
import { failUsage } from '../terminal/cli-error.ts'

interface Node {
  /** The path of the command, such as `alias set`. */
  path: string
  description: string
  commands: { name: string; description: string }[]
  options: { flags: string[]; description: string }[]
}

const SHELLS: Record<string, (nodes: Node[]) => string> = { bash, zsh, fish }

export function completion(program: Command, shell: string): void {
  const script = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined
  if (!script) failUsage(`shell "${shell}" is not supported; use ${Object.keys(SHELLS).join(', ')}`)
  process.stdout.write(script(collectNodes(program, '', [])))
}

function collectNodes(command: Command, path: string, inherited: Node['options']): Node[] {
  const own = command.options.map(({ long, short, description }) => ({
    flags: [short, long].filter((flag) => flag !== undefined && flag !== null),
    description,
  }))
  const options = [...own, ...inherited.filter(({ flags }) => !flags.includes('--version'))]
  const commands = command.commands.map((child) => ({ name: child.name(), description: child.description() }))
  const node = { path, description: command.description(), commands, options }
  const below = command.commands.flatMap((child) =>
    collectNodes(child, `${path} ${child.name()}`.trim(), path === '' ? options : inherited),
  )
  return [node, ...below]
}

/** The script finds the longest path of commands in the typed words, and completes its subcommands and options. */
function bash(nodes: Node[]): string {
  const cases = nodes.map(({ path, commands, options }) => {
    const words = [...commands.map(({ name }) => name), ...options.flatMap(({ flags }) => flags), '--help']
    return `    '${path}') words='${words.join(' ')}' ;;`
  })
  return `# modelkeep completion for bash: source <(modelkeep completion bash)
_modelkeep() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path='' words='' word candidate
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    candidate="\${path:+$path }$word"
    case "$candidate" in
${nodes
  .filter(({ path }) => path !== '')
  .map(({ path }) => `      '${path}') path="$candidate" ;;`)
  .join('\n')}
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=()
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$words" -- "$current")
  if [ "\${#COMPREPLY[@]}" -eq 0 ]; then
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$current")
  fi
}
complete -o filenames -F _modelkeep modelkeep
`
}

function zsh(nodes: Node[]): string {
  const cases = nodes.map(({ path, commands, options }) => {
    const entries = [
      ...commands.map(({ name, description }) => quote(`${name}:${description.replaceAll(':', ' ')}`)),
      ...options.flatMap(({ flags, description }) =>
        flags.map((flag) => quote(`${flag}:${description.replaceAll(':', ' ')}`)),
      ),
    ]
    return `    '${path}') entries=(${entries.join(' ')}) ;;`
  })
  return `#compdef modelkeep
# modelkeep completion for zsh: source <(modelkeep completion zsh)
_modelkeep() {
  local path_='' candidate word
  local -a entries
  for word in "\${words[@]:1:$((CURRENT - 2))}"; do
    candidate="\${path_:+$path_ }$word"
    case "$candidate" in
${nodes
  .filter(({ path }) => path !== '')
  .map(({ path }) => `      '${path}') path_="$candidate" ;;`)
  .join('\n')}
    esac
  done
  case "$path_" in
${cases.join('\n')}
  esac
  _describe 'modelkeep' entries || _files
}
compdef _modelkeep modelkeep
`
}

function fish(nodes: Node[]): string {
  const lines = nodes.flatMap(({ path, commands, options }) => {
    const words = path.split(' ').filter(Boolean)
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`)
    const others = commands.map(({ name }) => name).join(' ')
    const notYet = others === '' ? [] : [`not __fish_seen_subcommand_from ${others}`]
    const condition = [...seen, ...notYet].join('; and ') || 'true'
    return [
      ...commands.map(
        ({ name, description }) => `complete -c modelkeep -n ${quote(condition)} -a ${name} -d ${quote(description)}`,
      ),
      ...options.map(({ flags, description }) => {
        const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
        return `complete -c modelkeep -n ${quote(seen.join('; and ') || 'true')} ${names.join(' ')} -d ${quote(description)}`
      }),
    ]
  })
  return `# modelkeep completion for fish: modelkeep completion fish | source\n${lines.join('\n')}\n`
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
