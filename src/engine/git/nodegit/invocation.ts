/** What a program that stands in for git is asked for. */
export interface Invocation {
  /** `-C`: the repository. */
  readonly folder: string
  /** `-c`: settings, by their names in lower case. */
  readonly settings: ReadonlyMap<string, string>
  readonly command: string
  /** Options of the command: what begins with `-`, up to `--`. */
  readonly options: readonly string[]
  readonly operands: readonly string[]
}

const WITH_VALUE = new Set(['-C', '-c'])

/** Reads the arguments as git does, as far as Longshore uses them. */
export function readInvocation(args: readonly string[]): Invocation {
  const settings = new Map<string, string>()
  let folder = '.'
  let at = 0
  for (; args[at]?.startsWith('-'); at++) {
    const option = args[at] ?? ''
    if (!WITH_VALUE.has(option)) continue
    const value = args[++at] ?? ''
    const [, name = value, set = 'true'] = /^([^=]+)=(.*)$/s.exec(value) ?? []
    if (option === '-C') folder = value
    else settings.set(name.toLowerCase(), set)
  }
  const rest = args.slice(at + 1)
  const end = rest.includes('--') ? rest.indexOf('--') : rest.length
  const named = rest.slice(0, end)
  return {
    folder,
    settings,
    command: args[at] ?? '',
    options: named.filter((one) => one.startsWith('-')),
    operands: [...named.filter((one) => !one.startsWith('-')), ...rest.slice(end + 1)],
  }
}
