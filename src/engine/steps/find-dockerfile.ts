import { posix } from 'node:path'
import { DEFAULT_DOCKERFILE } from '../detect/detected-build.js'
import { dockerfilesIn, listed } from '../detect/elsewhere.js'
import { DeployError } from '../errors.js'
import type { EntryKind, Source, TreeEntry } from '../git/git.js'
import type { Services } from '../services.js'
import type { ContextFiles } from './context-files.js'
import type { DeploymentRun } from './deployment-run.js'
import { detectBuild } from './detect-build.js'
import { pointerOf } from './lfs-files.js'

/** What a Dockerfile outside of the context is called for the build; nobody's own file. */
export const OUTER_DOCKERFILE = '.longshore.Dockerfile'
const MAX_BYTES = 1024 * 1024

/** The files of a commit below the context's path. */
export interface Context {
  readonly source: Source
  readonly files: ContextFiles
}

/** What a build reads beside what it copies. */
export interface BuildInputs {
  /** Null: the context has none, and it is {@link written}. */
  readonly dockerfile: TreeEntry | null
  /** What the engine is told that it is called. */
  readonly dockerfileName: string
  /** Files that the context does not have, by path. */
  readonly written: ReadonlyMap<string, string>
}

/**
 * The Dockerfile, or one that is made, and lines of an ignore file that go with it.
 *
 * @throws DeployError DOCKERFILE_NOT_FOUND with what there is instead
 */
export async function findDockerfile(
  run: DeploymentRun,
  context: Context,
  services: Services,
): Promise<BuildInputs & { readonly ignore: readonly string[] }> {
  const { contextPath, dockerfilePath } = run.configuration.build
  if (dockerfilePath.startsWith('../')) return readOuter(run, context)
  const dockerfile = context.files.get(dockerfilePath)
  if (dockerfile?.kind === 'file') {
    return { ignore: [], dockerfile, dockerfileName: dockerfilePath, written: new Map() }
  }
  if (!dockerfile && dockerfilePath === DEFAULT_DOCKERFILE) {
    const detected = await detectBuild(run, context, services)
    return { ...detected, dockerfile: null, dockerfileName: DEFAULT_DOCKERFILE }
  }
  throw notFound(posix.join(contextPath, dockerfilePath), dockerfile?.kind, context)
}

/** Outside of the context, and inside of the repository. */
async function readOuter({ configuration, signal }: DeploymentRun, context: Context) {
  const { contextPath, dockerfilePath } = configuration.build
  const path = posix.join(contextPath, dockerfilePath)
  const isInside = !path.startsWith('../')
  const kind = isInside ? (await context.source.kindsOf([path], signal)).get(path) : undefined
  if (kind !== 'file') throw notFound(path, kind, context)
  const text = await context.source.read(path, signal, MAX_BYTES)
  if (pointerOf(text)) {
    throw new DeployError('DOCKERFILE_NOT_FOUND', `"${path}" is a Git LFS pointer: commit the file itself`)
  }
  const written = new Map([[OUTER_DOCKERFILE, text]])
  return { ignore: [], dockerfile: null, dockerfileName: OUTER_DOCKERFILE, written }
}

function notFound(path: string, kind: EntryKind | undefined, { files }: Context): DeployError {
  const others = dockerfilesIn([...files.keys()])
  const next =
    others.length === 0
      ? 'add a Dockerfile or set dockerfilePath'
      : `there is ${listed(others)}: set dockerfilePath to the one to build`
  return new DeployError('DOCKERFILE_NOT_FOUND', `"${path}" is ${describe(kind)} in the repository; ${next}`)
}

export function describe(kind: EntryKind | undefined): string {
  if (kind === 'link') return 'a symbolic link, which is not followed,'
  return kind === undefined ? 'missing' : `a ${kind}`
}
