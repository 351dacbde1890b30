import { executable, isWindows, noShell, WINDOWS_LINES } from './build-advice.js'

/** Why a container does not begin its work, by what the engine, its init and shells print; and what to do next. */
interface StartFailure {
  readonly says: RegExp
  readonly advice: (program: string) => string
}

const missing = (program: string): string =>
  program.includes('/')
    ? `the image has no ${program}, or its first line (#!) names a program that the image does not have; with Windows line endings (CRLF) it names one that ends with a carriage return`
    : `the image has no program "${program}": install it in the Dockerfile, or correct its name`

const noShellHere = (shell: string): string => noShell(shell, 'begin with an image that has one')

/** The first that fits counts. Recorded of 20.10.24 and 29.4.0: test/unit/start-failures.test.ts. */
const START_FAILURES: readonly StartFailure[] = [
  {
    says: /no command specified/i,
    advice: () =>
      'the image has neither CMD nor ENTRYPOINT: add CMD ["program", "argument"] to the Dockerfile, or set the stage\'s command',
  },
  {
    says: /unable to find user (\S+?):/,
    advice: (user) =>
      `the image has no user ${user}: make it in the Dockerfile before USER, or name its number`,
  },
  { says: WINDOWS_LINES, advice: () => isWindows },
  { says: /\bexec (\/bin\/(?:ba|da)?sh) failed: No such file/, advice: noShellHere },
  { says: /\bexec: "(\/bin\/(?:ba|da)?sh)": stat/, advice: noShellHere },
  { says: /\bexec (\S+) failed: No such file or directory/, advice: missing },
  { says: /\bexec: "([^"]+)": (?:executable file not found|stat \S+: no such file)/, advice: missing },
  { says: /\bexec (\S+) failed: Permission denied/, advice: executable },
  { says: /\bexec: "([^"]+)": permission denied/, advice: executable },
  { says: /^\S*sh: (?:\d+: |line \d+: )?(\S+?): (?:command )?not found$/m, advice: missing },
  { says: /^\S*sh: (?:\d+: |line \d+: )?(\S+?): Permission denied$/m, advice: executable },
  {
    says: /\bexec (\S+)(?: failed)?: exec format error/i,
    advice: (program) =>
      `${program} is a program for another processor: build it for the one of the Docker host, or set the app's platform`,
  },
]

/** What to do about it, as a sentence; empty where nobody can tell more than the engine. */
export function startAdvice(...said: readonly string[]): string {
  const text = said.join('\n')
  for (const { says, advice } of START_FAILURES) {
    const found = says.exec(text)
    if (!found) continue
    const words = advice(found[1] ?? '')
    return `. ${words.charAt(0).toUpperCase()}${words.slice(1)}`
  }
  return ''
}
