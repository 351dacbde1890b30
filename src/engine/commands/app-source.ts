import { checkAll } from '../command-error.js'
import { type BuildArg, checkBuildArgs, checkPlatform, checkTarget } from '../configuration/build-options.js'
import { DEFAULT_DOCKERFILE } from '../detect/detected-build.js'
import { checkDockerfilePath, checkPath, checkPort } from '../names.js'
import { checkBranch } from '../ref-names.js'
import { checkGivenRepository } from '../repository-url.js'
import { checkWatchPaths } from '../webhooks/globs.js'
import type { CommandDependencies } from './dependencies.js'

/** Where an app's code is and how it is built. What is left out, or null, is the default. */
export interface AppSource {
  readonly repoUrl: string
  readonly branch?: string | null
  readonly dockerfilePath?: string | null
  readonly contextPath?: string | null
  readonly target?: string | null
  readonly buildArgs?: readonly BuildArg[] | null
  readonly platform?: string | null
  readonly port?: number | null
  readonly watchPaths?: readonly string[] | null
}

/**
 * The columns of a source, and the token that its URL had.
 *
 * @throws CommandError that names each field that is wrong
 */
export function checkSource(source: AppSource, { allowFileRepos }: CommandDependencies['settings']) {
  const contextPath = source.contextPath ?? '.'
  const dockerfilePath = source.dockerfilePath ?? DEFAULT_DOCKERFILE
  const { repository, ...others } = checkAll({
    repository: () => checkGivenRepository('repoUrl', source.repoUrl, allowFileRepos),
    branch: () => (source.branch ? checkBranch('branch', source.branch) : null),
    dockerfilePath: () =>
      checkDockerfilePath('dockerfilePath', dockerfilePath, isPath(contextPath) ? contextPath : '.'),
    contextPath: () => checkPath('contextPath', contextPath),
    target: () => checkTarget('target', source.target ?? null),
    buildArgs: () => checkBuildArgs('buildArgs', source.buildArgs ?? []),
    platform: () => checkPlatform('platform', source.platform ?? null),
    port: () => checkPort('port', source.port ?? null),
    watchPaths: () => checkWatchPaths('watchPaths', source.watchPaths ?? []),
  })
  return { columns: { repoUrl: repository.repoUrl, ...others }, token: repository.token }
}

/** One that is wrong is named for itself, and not once more for what is relative to it. */
function isPath(path: string): boolean {
  try {
    checkPath('contextPath', path)
    return true
  } catch {
    return false
  }
}
