/** What is known of a build that has failed, beside what its engine said. */
export interface BuildFacts {
  readonly isBuildkit: boolean
  readonly dockerfile: string
  /** Names of variables: of those that builds get, and of the others. */
  readonly secrets: ReadonlySet<string>
  readonly variables: ReadonlySet<string>
  /** Where a path is that the context does not have, and what to do. */
  readonly missingFile: (path: string) => Promise<string>
  /** What is wrong with a program that the image should have. Null: nothing of the commit's is of that name. */
  readonly program: (path: string) => Promise<string | null>
}

/** What a pattern has found in a message. */
export type Found = readonly (string | undefined)[]

const SYNTAX = '# syntax=docker/dockerfile:1'
/** What flags and keys came after the Dockerfiles that engines have built in: each newer one knows more. */
const NEWER =
  /^(?:start-interval|link|chmod|chown|exclude|parents|checksum|keep-git-dir|unpack|network|security|device|mount|env|sharing)$/

export const newer = (what: string, { isBuildkit, dockerfile }: BuildFacts): string => {
  if (!isBuildkit)
    return `the classic builder does not know ${what}: set BUILDER=auto on an engine that has BuildKit, or leave it out`
  if (/^#\s*syntax\s*=/im.test(dockerfile.slice(0, 500)))
    return `the version that the Dockerfile's "# syntax=" line names does not know ${what}: name a newer one, or leave it out`
  return `the builder of this engine does not know ${what}: make "${SYNTAX}" the Dockerfile's first line, by which BuildKit fetches a newer one, or leave it out`
}

export const unknownFlag = (facts: BuildFacts, [, flag = '']: Found): string => {
  if (!NEWER.test(flag))
    return `no such flag is known: check the spelling of --${flag}; a flag that is newer than this engine needs "${SYNTAX}" as the Dockerfile's first line`
  const old = flag === 'start-interval' ? '. Engines before 25 do not use it even then' : ''
  return `${newer(`--${flag}`, facts)}${old}`
}

/** Names of a Dockerfile's stages, in order; those without have their numbers. */
export function stagesOf(dockerfile: string): string[] {
  const from = /^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*\S+(?:[ \t]+AS[ \t]+(\S+))?/gim
  return [...dockerfile.matchAll(from)].map(([, name], index) => name ?? String(index))
}

function listed({ dockerfile }: BuildFacts): string {
  const stages = stagesOf(dockerfile)
  return stages.length === 0
    ? 'the Dockerfile has no stage'
    : `the Dockerfile has the ${stages.length === 1 ? 'stage' : 'stages'} ${stages.join(', ')}`
}

export const noTarget = (facts: BuildFacts): string =>
  `${listed(facts)}: set the app's target to one of them, or to null for the last one`

export const noStage = (facts: BuildFacts, [, name = '']: Found): string =>
  `no stage is called "${name}": ${listed(facts)}`

export const secret = ({ variables, secrets }: BuildFacts, [, name = '']: Found): string => {
  if (secrets.has(name)) return ''
  const how = variables.has(name)
    ? `${name} is a variable of the stage that builds do not get: set it again with buildSecret: true`
    : `set ${name} as a variable of the stage with buildSecret: true`
  return `${how} (setVariables), then deploy again`
}

export const missing = (
  { dockerfile, missingFile }: BuildFacts,
  [, path = '']: Found,
): string | Promise<string> => {
  const plain = path.replace(/^\/+|\/+$/g, '')
  const isAbove = path.startsWith('../') || dockerfile.includes(`../${plain}`)
  if (isAbove)
    return `a build has only what is inside of contextPath: set contextPath to a folder that has "${plain}", and dockerfilePath to the Dockerfile, and copy without "../"`
  return missingFile(plain)
}

export const unreachable = (facts: BuildFacts, [, image = '']: Found): string => {
  const name = image.replace(/^library\//, '')
  if (/^docker\/dockerfile(?:-upstream)?$/.test(name))
    return `the Dockerfile's "# syntax=" line makes the engine fetch ${name}, and it does not reach that registry: leave the line out where nothing needs it, or let the Docker host reach the registry`
  const isStage = new RegExp(`from=${name.replace(/[^\w]/g, '\\$&')}(?:[,\\s]|$)`, 'im').test(
    facts.dockerfile,
  )
  if (isStage)
    return `${noStage(facts, [, name])}, so it was taken for an image, which the engine could not fetch`
  return `the engine does not reach the registry of ${name}: check the network, the name server and the proxy of the Docker host`
}

export const notFound = async ({ program }: BuildFacts, [, name = '']: Found): Promise<string> =>
  (await program(name)) ??
  `the image has no program "${name}": install it in a step before, or correct its name`

export const isWindows =
  'a script has Windows line endings (CRLF), of which the program that runs it takes the carriage return for a part of a name: commit it with LF ("*.sh text eol=lf" in .gitattributes, then git add --renormalize .)'

/** What shells, env and the kernel print of a carriage return in a script. */
export const WINDOWS_LINES =
  /\r['"’]?: |\^M: bad interpreter|\$'\\r': command not found|(?:illegal|invalid) option -?-?\r|set: -\r?: invalid option/i

export function noShell(shell: string, otherwise: string): string {
  return `the image has no ${shell}, as "scratch" and distroless images have none: write the command as a list ("program", "argument"), or ${otherwise}`
}

export function executable(path: string): string {
  return `${path} may not be executed: git update-index --chmod=+x FILE and commit, or RUN chmod +x in the Dockerfile`
}
