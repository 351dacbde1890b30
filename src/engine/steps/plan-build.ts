import { DEFAULT_DOCKERFILE } from '../detect/detected-build.js'
import { checkIgnoreFile, checkIgnoreSize, ignoredOf, type IgnoreFile } from '../docker/ignore-file.js'
import { DeployError } from '../errors.js'
import type { LfsPointer, Source } from '../git/git.js'
import type { Services } from '../services.js'
import type { DeploymentRun } from './deployment-run.js'
import { checkSize, type ContextFiles, follow, listContext, textOf } from './context-files.js'
import { type BuildInputs, type Context, describe, findDockerfile } from './find-dockerfile.js'
import { objectOf, pointerOf, pointersIn, withObjects } from './lfs-files.js'
import { logSubmodules } from './placeholders.js'
import { withSubmodules } from './submodules.js'

/** What is sent to the build. */
export interface BuildPlan extends BuildInputs {
  /** What is not ignored, by path below the context. */
  readonly sent: ContextFiles
  /** The path of the ignore file that was read, if there is one. */
  readonly ignoreFile: string | undefined
  /** What the context has and is not sent. */
  readonly ignored: ReadonlySet<string>
  /** Those of {@link sent} and the Dockerfile that have objects of Git LFS, which are to be fetched. */
  readonly pointers: readonly LfsPointer[]
  /** The commit, with the contents of its submodules. */
  readonly source: Source
}

/** Looks before anything is sent: what is missing is said in the user's words, and a Dockerfile is written if need be. */
export async function planBuild(run: DeploymentRun, source: Source, services: Services): Promise<BuildPlan> {
  const { signal } = run
  const { contextPath, dockerfilePath } = run.configuration.build
  const kinds = await source.kindsOf([contextPath], signal)
  const context = kinds.get(contextPath)
  if (context !== 'folder') {
    const message = `the context "${contextPath}" is ${describe(context)} in the repository; it must be a folder (contextPath)`
    throw new DeployError('CONTEXT_NOT_FOUND', message)
  }
  const own = await listContext(source, { folder: contextPath, ...services.settings }, signal)
  const ignoreFile = [`${dockerfilePath}.dockerignore`, '.dockerignore'].find((path) => own.has(path))
  const ignored = ignoreFile === undefined ? null : await readIgnore(run, { source, files: own }, ignoreFile)
  const { ignore, ...inputs } = await findDockerfile(run, { source, files: own }, services)
  const leftOf = (files: ContextFiles) => ignoredOf([...files.keys()], ignored, { own: ignore, signal })
  const ownLeft = await leftOf(own)
  const isLeft = (path: string) => ownLeft.has(path)
  const whole = await withSubmodules(run, { source, files: own, isLeft }, services)
  const { files } = whole
  const left = files === own ? ownLeft : await leftOf(files)
  const sent = new Map([...files].filter(([path]) => !left.has(path)))
  if (inputs.written.has(DEFAULT_DOCKERFILE)) logIgnored([...left], files, run.log)
  logSubmodules(run, sent)
  const plan = await withLfs(
    { sent, ignoreFile, ignored: left, ...inputs, pointers: [], source: whole.source },
    signal,
  )
  checkSize(plan.sent, services.settings.maxContextBytes)
  return plan
}

/** What pointers stand for, in their place: no build gets a pointer. */
async function withLfs(plan: BuildPlan, signal: AbortSignal): Promise<BuildPlan> {
  const { sent, dockerfile, source } = plan
  const read = dockerfile && !sent.has(dockerfile.path) ? [dockerfile] : []
  const pointers = await pointersIn(source, [...sent.values(), ...read], signal)
  const own = pointers.find(({ path }) => path === dockerfile?.path)
  const whole = dockerfile && own ? objectOf(dockerfile, own) : dockerfile
  return { ...plan, sent: withObjects(sent, pointers), dockerfile: whole, pointers }
}

/** Through links, as Docker reads it, and never without a word: what it names is not to be in an image. */
async function readIgnore(
  { configuration, signal }: DeploymentRun,
  context: Context,
  path: string,
): Promise<IgnoreFile> {
  const { source, files } = context
  const { contextPath } = configuration.build
  const shown = contextPath === '.' ? path : `${contextPath}/${path}`
  const entry = files.get(path)
  const file = entry?.kind === 'link' ? await follow(context, path, signal) : entry
  if (file?.kind !== 'file') {
    const what =
      entry?.kind === 'link' ? 'a symbolic link that leads to no file of the context' : describe(entry?.kind)
    throw new DeployError('DOCKERIGNORE_INVALID', `${shown} is ${what}: make it a file`)
  }
  checkIgnoreSize(file.size, shown)
  using contents = source.contents(signal)
  const text = await textOf(contents.read(file.id))
  if (pointerOf(text)) {
    throw new DeployError('DOCKERIGNORE_INVALID', `${shown} is a Git LFS pointer: commit the file itself`)
  }
  checkIgnoreFile(text, shown)
  return { path: shown, text }
}

/** A build that reads such a file works elsewhere, and here without the values: silently, if nobody says so. */
function logIgnored(ignored: readonly string[], files: ContextFiles, log: DeploymentRun['log']): void {
  const names = ignored.filter(
    (path) => /^\.env(?:\.[\w.-]+)?$/.test(path) && files.get(path)?.kind === 'file',
  )
  if (names.length === 0) return
  log.system(
    `Not sent to the build: ${names.sort().join(', ')}. Pass the values it needs as buildArgs or as variables with buildSecret, or include a file again with a line such as "!${names[0]}" in .dockerignore`,
  )
}
