import {
  type BuildFacts,
  type Found,
  executable,
  isWindows,
  missing,
  newer,
  noStage,
  noTarget,
  notFound,
  secret,
  unknownFlag,
  unreachable,
  WINDOWS_LINES,
  noShell,
} from './build-advice.js'

/** What a failed build comes from, by what BuildKit, the classic builder and the programs of steps print of it. */
export interface BuildFailure {
  readonly name: string
  readonly says: RegExp
  /** Where it is said: in the engine's message, or in the last lines of the step as well. */
  readonly in: 'message' | 'lines'
  /** What to do next; empty: it is something else. `found` is what `says` has found. */
  readonly advice: (facts: BuildFacts, found: Found) => string | Promise<string>
}

/** The first that fits, and has something to say, counts. Recorded of 20.10.24 and 29: test/unit/build-failures.test.ts. */
export const BUILD_FAILURES: readonly BuildFailure[] = [
  {
    name: 'missing file, BuildKit',
    in: 'message',
    says: /failed to compute cache key: .*?"\/?([^"]+)"(?: not found)?: not found/,
    advice: missing,
  },
  {
    name: 'missing file, classic',
    in: 'message',
    says: /(?:COPY|ADD) failed: file not found in build context or excluded by \.dockerignore: stat (.+): file does not exist/,
    advice: missing,
  },
  {
    name: 'file outside of the context, classic',
    in: 'message',
    says: /forbidden path outside the build context: (\S+)/,
    advice: missing,
  },
  {
    name: 'no file fits, classic',
    in: 'message',
    says: /(?:COPY|ADD) failed: no source files were specified/,
    advice: () => 'no file of the commit fits the pattern, or .dockerignore leaves out those that do',
  },
  {
    name: 'missing file of a stage',
    in: 'message',
    says: /(?:^|: )(?:COPY failed: stat (.+): file does not exist|lstat (?:\/var\/lib\/docker\/\S+?\/merged)?(\/.+?): no such file or directory)/,
    advice: (_facts, [, classic, other]) =>
      `the stage or image that COPY --from names has no "${classic ?? other}": look where its build puts what it makes`,
  },
  {
    name: 'missing secret',
    in: 'message',
    says: /secret ([\w.-]+)(?: not found)?: not found/,
    advice: secret,
  },
  {
    name: 'missing secret, as a program sees it',
    in: 'lines',
    says: /\/run\/secrets\/([\w.-]+)['"]?:? (?:No such file|not found|does not exist)/i,
    advice: secret,
  },
  {
    name: 'forwarded SSH key',
    in: 'message',
    says: /no SSH key "[^"]*" forwarded/,
    advice: () =>
      'Longshore gives builds no SSH agent: mount a token as a build secret (RUN --mount=type=secret,id=NAME) and use HTTPS',
  },
  { name: 'unknown flag', in: 'message', says: /unknown flag: (?:--)?([\w-]+)/i, advice: unknownFlag },
  {
    name: 'unknown key of a mount',
    in: 'message',
    says: /unexpected key '([\w-]+)' in/,
    advice: (facts, [, key = '']) => newer(`the key "${key}"`, facts),
  },
  {
    name: 'here-document',
    in: 'message',
    says: /unknown instruction: /,
    advice: (facts) => (/<<-?['"]?\w+/.test(facts.dockerfile) ? newer('here-documents (<<EOF)', facts) : ''),
  },
  {
    name: 'unknown instruction',
    in: 'message',
    says: /unknown instruction: (\S+)/,
    advice: (_facts, [, word = '']) =>
      `no instruction is called ${word}: a command that goes on in the next line ends with "\\"`,
  },
  {
    name: 'option of BuildKit',
    in: 'message',
    says: /the (--\w+) option requires BuildKit/,
    advice: (_facts, [, option = '']) =>
      `the classic builder does not know ${option}: set BUILDER=auto on an engine that has BuildKit`,
  },
  {
    name: 'privileged step',
    in: 'message',
    says: /(?:security\.insecure|network\.host) is not allowed/,
    advice: () =>
      'builds run without privileges and on a network of their own: leave --security and --network=host out',
  },
  {
    name: 'missing target',
    in: 'message',
    says: /target stage "?[^"]+?"? could not be found|failed to reach build target/,
    advice: noTarget,
  },
  {
    name: 'number of a stage',
    in: 'message',
    says: /invalid stage index (\d+)|invalid from flag value (\d+): index out of bounds/,
    advice: (facts, [, one, other]) => noStage(facts, [, one ?? other]),
  },
  {
    name: 'name of a stage',
    in: 'message',
    says: /(?:failed to parse stage name "|invalid from flag value )([^":]+)"?: invalid reference format/,
    advice: noStage,
  },
  {
    name: 'name of an image',
    in: 'message',
    says: /invalid reference format: repository name .*must be lowercase/,
    advice: () => 'the name of an image is in lower case',
  },
  {
    name: 'empty Dockerfile',
    in: 'message',
    says: /file with no instructions|no build stage in current context/,
    advice: () => 'a Dockerfile begins with FROM and the name of an image',
  },
  {
    name: 'image without a name',
    in: 'message',
    says: /base name \(\$\{?(\w+)[^)]*\) should not be blank/,
    advice: (_facts, [, name = '']) =>
      `set the build argument ${name} (buildArgs), or give it a default before the first FROM: ARG ${name}=…`,
  },
  {
    name: 'unreachable registry',
    in: 'message',
    says: /failed to do request: Head "https?:\/\/[^/]+\/v2\/(.+?)\/manifests\/[^"]+"/,
    advice: unreachable,
  },
  {
    name: 'unreachable registry, classic',
    in: 'message',
    says: /invalid from flag value (\S+): .*https:\/\/[^/]+\/v2\//,
    advice: unreachable,
  },
  {
    name: 'missing user',
    in: 'message',
    says: /unable to find user (\S+?):/,
    advice: (_facts, [, user = '']) =>
      `the image has no user ${user}: make it in a step before USER, or name its number`,
  },
  {
    name: 'CRLF',
    in: 'lines',
    says: WINDOWS_LINES,
    advice: () => isWindows,
  },
  {
    name: 'missing shell',
    in: 'lines',
    says: /exec: "(\/bin\/(?:ba)?sh)": stat \1: no such file or directory/,
    advice: (_facts, [, shell = '']) => noShell(shell, 'run the step in a stage that has one'),
  },
  {
    name: 'not executable',
    in: 'lines',
    says: /exec: "([^"]+)": permission denied|(?:^|: )(\S+): Permission denied$/m,
    advice: (_facts, [, one, other]) => executable(one ?? other ?? ''),
  },
  {
    name: 'foreign program',
    in: 'lines',
    says: /exec (\S+): exec format error/,
    advice: async ({ program }, [, path = '']) =>
      (await program(path)) ??
      `${path} is a program for another processor, or a script without "#!" in its first line`,
  },
  {
    name: 'missing program',
    in: 'lines',
    says: /exec: "([^"]+)": (?:executable file not found|stat \S+: no such file)/,
    advice: notFound,
  },
  {
    name: 'missing program, as a shell says it',
    in: 'lines',
    says: /^\S*sh: (?:\d+: |line \d+: )?(\S+?): (?:command )?not found$/m,
    advice: notFound,
  },
]

/** What to do about a build that has failed; empty where nobody can tell more than the engine. */
export async function buildAdvice(
  { message, lastLines }: { readonly message: string; readonly lastLines: readonly string[] },
  facts: BuildFacts,
): Promise<string> {
  const texts = { message, lines: [message, ...lastLines].join('\n') }
  for (const failure of BUILD_FAILURES) {
    const found = failure.says.exec(texts[failure.in])
    const advice = found === null ? '' : await failure.advice(facts, found)
    if (advice !== '') return advice
  }
  return ''
}
