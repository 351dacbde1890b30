import type { BaseImages } from '../../config.js'

/** The folder that is built, as far as it matters: what is in it, and the text of a few files. */
export interface Tree {
  /** Files below the folder, and folders with a slash at the end. */
  readonly paths: ReadonlySet<string>
  readonly texts: ReadonlyMap<string, string>
}

/** How a repository without a Dockerfile is built. */
export interface DetectedBuild {
  readonly language: string
  /** The files that tell. */
  readonly detectedBy: readonly string[]
  /** What the log says besides: which version it is and why, and what is not done. */
  readonly notes: readonly string[]
  readonly dockerfile: string
  /** Lines of a .dockerignore; those of the repository come after them and may take one back. */
  readonly ignore: readonly string[]
}

/** It is of this language, and something is missing: why, and what to do. */
export interface Problem {
  readonly problem: string
}

/** Base images, and those of them that the engine has already. */
export interface Images extends BaseImages {
  readonly local?: ReadonlySet<string>
  /** The name under which caches of this app's builds are kept; none: the builder has no cache mounts. */
  readonly cache?: string
}

/** Null: it is not of this language. */
export type Detector = (tree: Tree, images: Images) => DetectedBuild | Problem | null

/** The path at which one is written, if nothing is there. */
export const DEFAULT_DOCKERFILE = 'Dockerfile'

/** To be counted up with what is written: images of before are built again. */
export const DETECTION_VERSION = 3

/** User and group that programs run as: the one that images of the field have for it. */
export const USER = '1000:1000'

/** In any folder: without the double star a pattern means the root alone. */
export const NEVER_SENT = [
  ...['.git', '**/.env', '**/.env.*'],
  ...['example', 'sample', 'template', 'dist'].map((ending) => `!**/.env.${ending}`),
]

export function withVersion(image: string, version: string): string {
  return image.replaceAll('{version}', version)
}

/** Whether the engine has this version of an image already. */
export function isLocalIn({ local }: Images, image: string): (version: string) => boolean {
  return (version) => local?.has(withVersion(image, version)) ?? false
}

/** What of these there is. */
export function present(tree: Tree, names: readonly string[]): string[] {
  return names.filter((name) => tree.paths.has(name))
}

/** A folder that the program's own user may write to, as its home. */
export function homeFolder(): string[] {
  return [`RUN mkdir -p /app && chown ${USER} /app`, 'WORKDIR /app']
}

/** Packages of Debian, in images that are of it: slim ones lack them. */
export function debianPackages(names: readonly string[]): string[] {
  if (names.length === 0) return []
  const install = `apt-get update && apt-get install -y --no-install-recommends ${names.join(' ')}`
  return [`RUN if command -v apt-get >/dev/null; then ${install} && rm -rf /var/lib/apt/lists/*; fi`]
}

/**
 * The end of each Dockerfile: who runs what, on which port.
 *
 * @param steps what is still to be done, by the program's own user: it may write to what it makes
 */
export function runInstructions(
  port: number,
  command: readonly string[] | string,
  steps: readonly string[] = [],
): string[] {
  const list = typeof command === 'string' ? ['sh', '-c', inPlaceOfShell(command)] : command
  return [
    `ENV HOME=/app PORT=${port}`,
    `USER ${USER}`,
    ...steps,
    `EXPOSE ${port}`,
    `CMD ${JSON.stringify(list)}`,
  ]
}

/** `NAME=value` before a command, as the source of an expression. */
export const ASSIGNMENT = String.raw`[A-Za-z_]\w*=(?:"[^"]*"|'[^']*'|[^\s"'])*`
const ONE_COMMAND = new RegExp(String.raw`^(?:exec\s+)?((?:${ASSIGNMENT}\s+)*)([\w./-]+(?:\s.*)?)$`)

/** Of several commands none may take the shell's place: those behind it would not run. */
function inPlaceOfShell(command: string): string {
  const [, assigned = '', program] = ONE_COMMAND.exec(command) ?? []
  if (program === undefined || /[;&|<>()`\n]/.test(command)) return command
  // Not `NAME=value exec`: whether that is in the program's environment depends on the shell.
  return `exec ${assigned === '' ? '' : `env ${assigned}`}${program}`
}

/** Stages of a Dockerfile, an empty line between them. */
export function stages(...all: (readonly string[])[]): string {
  return all.map((lines) => `${lines.join('\n')}\n`).join('\n')
}

/** The line of a Procfile that says how the web process is started, as a shell command. */
export function procfileCommand(tree: Tree): string | null {
  const line = linesOf(tree.texts.get('Procfile') ?? '').find((one) => /^web:[ \t]*\S/.test(one))
  return line?.slice('web:'.length).trimStart() ?? null
}

/**
 * The lines of a text, without white space around them. What is read is a stranger's: an expression with `\s*` at an end
 * of a line, over a text of many lines, would take time by the square of its length.
 */
export function linesOf(text: string): string[] {
  return text.split('\n').map((line) => line.trim())
}

/** The parts of a TOML text that begin with this header. */
export function sectionsOf(text: string, header: string): string[] {
  return text.split(/^(?=\[)/m).filter((section) => section.startsWith(header))
}

/** Build arguments are known to a stage that declares them: the one that compiles. */
export function withArguments(dockerfile: string, names: readonly string[]): string {
  const lines = names.map((name) => `\nARG ${name}`).join('')
  return dockerfile.replace(/^FROM .* AS build$/m, (from) => `${from}${lines}`)
}

/**
 * Build secrets are in the environment of the stage that compiles, one step after the other: in no argument, layer or
 * history. Only BuildKit reads such a Dockerfile.
 */
export function withSecrets(dockerfile: string, names: readonly string[]): string {
  const known = names.filter((name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
  const mounts = known.map((name) => `--mount=type=secret,id=${name} `).join('')
  const exports = known.map((name) => `export ${name}="$(cat /run/secrets/${name})" && `).join('')
  const isOfBuild = (stage: string) => /^FROM .* AS build\n/.test(stage)
  return dockerfile
    .split(/^(?=FROM )/m)
    .map((stage) =>
      isOfBuild(stage)
        ? stage.replace(/^RUN ((?:--mount=\S+ )*)/gm, (_, own: string) => `RUN ${mounts}${own}${exports}`)
        : stage,
    )
    .join('')
}
