import { detect, LOOKED_FOR } from '../detect/detect.js'
import { DEFAULT_DOCKERFILE, type Tree, withArguments, withSecrets } from '../detect/recipe.js'
import { readTree } from '../detect/tree.js'
import { checkIgnoreFile, ignoreRules, MAX_IGNORE_BYTES } from '../docker/ignore-file.js'
import { DeployError } from '../errors.js'
import type { EntryKind, Source } from '../git/git.js'
import type { Tools, Work } from './context.js'

/** In the root of the repository only, wherever the context is. */
const SUBMODULES = '.gitmodules'

/** What is sent to the build beside, and less than, the files of the commit. */
export interface BuildPlan {
  /** Lines of a .dockerignore; null: all is sent. */
  readonly ignore: string | null
  /** Files that the repository does not have, by path. */
  readonly written: ReadonlyMap<string, string>
}

/** Looks before anything is sent: what is missing is said in the user's words, and a Dockerfile is written if need be. */
export async function planBuild(
  work: Work,
  source: Source,
  tools: Tools,
  signal: AbortSignal,
): Promise<BuildPlan> {
  const { contextPath, dockerfilePath } = work.configuration.build
  const at = (path: string) => (contextPath === '.' ? path : `${contextPath}/${path}`)
  const ignoreFiles = [`${dockerfilePath}.dockerignore`, '.dockerignore'].map(at)
  const paths = [contextPath, at(dockerfilePath), SUBMODULES, ...ignoreFiles]
  const kinds = await source.kindsOf(paths, signal)
  const context = kinds.get(contextPath)
  if (context !== 'folder') {
    const message = `the context "${contextPath}" is ${describe(context)} in the repository; it must be a folder (contextPath)`
    throw new DeployError('CONTEXT_NOT_FOUND', message)
  }
  if (kinds.get(SUBMODULES) === 'file') {
    work.log.system('Submodules are not fetched: their folders are empty in the build')
  }
  const ignoreFile = ignoreFiles.find((path) => kinds.get(path) === 'file')
  const ignore = ignoreFile === undefined ? null : await source.read(ignoreFile, signal, MAX_IGNORE_BYTES + 1)
  if (ignoreFile !== undefined) checkIgnoreFile(ignore ?? '', ignoreFile)
  const dockerfile = kinds.get(at(dockerfilePath))
  if (dockerfile === 'file') return { ignore, written: new Map() }
  if (dockerfile === undefined && dockerfilePath === DEFAULT_DOCKERFILE) {
    return detected(work, source, ignore, tools, signal)
  }
  const message = `"${at(dockerfilePath)}" is ${describe(dockerfile)} in the repository; add a Dockerfile or set dockerfilePath`
  throw new DeployError('DOCKERFILE_NOT_FOUND', message)
}

async function detected(
  { configuration, buildSecrets, log }: Work,
  source: Source,
  ignore: string | null,
  tools: Tools,
  signal: AbortSignal,
): Promise<BuildPlan> {
  const tree = await readTree(source, configuration.build.contextPath, signal)
  const found = detect(tree, tools.settings.baseImages)
  if (!found || 'problem' in found) {
    const why = found ? `no Dockerfile: ${found.problem}` : `no Dockerfile, and nothing of ${LOOKED_FOR}`
    throw new DeployError(
      'DOCKERFILE_NOT_FOUND',
      `there is ${why}. Or add a Dockerfile or set dockerfilePath`,
    )
  }
  // Their names are of a grammar without white space (build-options.ts).
  const names = Object.keys(configuration.build.args).sort()
  const dockerfile = withSecrets(withArguments(found.dockerfile, names), [...buildSecrets.keys()].sort())
  log.system(`No Dockerfile: this is ${found.language} (${found.because.join(', ')}), built with this one:`)
  log.system(dockerfile.trimEnd().replace(/^(?=.)/gm, '    '))
  const plan = {
    ignore: [...found.ignore, ignore ?? ''].join('\n'),
    written: new Map([[DEFAULT_DOCKERFILE, dockerfile]]),
  }
  sayNotSent(tree, plan.ignore, log)
  return plan
}

/** A build that reads such a file works elsewhere, and here without the values: silently, if nobody says so. */
function sayNotSent(tree: Tree, ignore: string, log: Work['log']): void {
  const rules = ignoreRules(ignore)
  const names = [...tree.paths].filter((path) => /^\.env(?:\.[\w.-]+)?$/.test(path) && rules.ignores(path))
  if (names.length === 0) return
  log.system(
    `Not sent to the build: ${names.sort().join(', ')}. What it needs of them are buildArgs or variables with buildSecret; or take a file back by a line such as "!${names[0]}" in .dockerignore`,
  )
}

function describe(kind: EntryKind | undefined): string {
  if (kind === 'link') return 'a symbolic link, which is not followed,'
  return kind === undefined ? 'missing' : `a ${kind}`
}
