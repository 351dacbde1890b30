import type { BuildFacts } from '../docker/build-advice.js'
import { buildAdvice } from '../docker/build-failures.js'
import { DeployError } from '../errors.js'
import type { TreeEntry } from '../git/git.js'
import { oneLine } from '../quoted-text.js'
import type { Services } from '../services.js'
import { textOf } from './context-files.js'
import type { DeploymentRun } from './deployment-run.js'
import { findMissing } from './missing-file.js'
import type { BuildPlan } from './plan-build.js'

/** Of a Dockerfile and of a script: what is longer is not read. */
const MAX_READ_BYTES = 1024 * 1024
const WINDOWS =
  'has Windows line endings (CRLF): commit it with LF ("*.sh text eol=lf" in .gitattributes, then git add --renormalize .)'

/** The error of a build with what to do next, where that follows from the commit and from what the engine said. */
export async function explainBuild(
  error: unknown,
  { run, plan }: { readonly run: DeploymentRun; readonly plan: BuildPlan },
  { docker, logger }: Services,
): Promise<unknown> {
  if (!(error instanceof DeployError) || error.code !== 'BUILD_FAILED') return error
  try {
    const facts: BuildFacts = {
      isBuildkit: await docker.usesBuildkit(run.signal),
      dockerfile: await dockerfileOf(run, plan),
      secrets: new Set(run.buildSecrets.keys()),
      variables: new Set(run.variables.keys()),
      missingFile: (path) => findMissing(path, { run, plan }),
      program: (path) => scriptAdvice(path, { run, plan }),
    }
    const advice = await buildAdvice(error, facts)
    if (advice === '') return error
    const { exitCode, lastLines } = error
    const message = `${error.message}. ${advice.charAt(0).toUpperCase()}${advice.slice(1)}`
    return new DeployError('BUILD_FAILED', message, { exitCode, lastLines, cause: error })
  } catch (failure) {
    // Why the build has failed is known, only not what to do.
    logger.warn('could not explain a failed build', { deployment: run.deployment.id, error: failure })
    return error
  }
}

async function dockerfileOf({ signal }: DeploymentRun, plan: BuildPlan): Promise<string> {
  const [written] = plan.written.values()
  return plan.dockerfile ? readEntry(plan, plan.dockerfile, signal) : (written ?? '')
}

async function readEntry({ source }: BuildPlan, entry: TreeEntry, signal: AbortSignal): Promise<string> {
  if (entry.size > MAX_READ_BYTES) return ''
  using contents = source.contents(signal)
  return await textOf(contents.read(entry.id)) // awaited while they are open
}

/** A file of that name that the image was made of is there and still does not run: what its first line names is not. */
async function scriptAdvice(
  path: string,
  { run, plan }: { readonly run: DeploymentRun; readonly plan: BuildPlan },
): Promise<string | null> {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const entry = [...plan.sent.values()].find(
    ({ kind, path: at }) => kind === 'file' && (at === name || at.endsWith(`/${name}`)),
  )
  if (!entry) return null
  const [first = ''] = (await readEntry(plan, entry, run.signal)).split('\n')
  const shown = oneLine(entry.path, 200)
  if (first.endsWith('\r')) return `${shown} ${WINDOWS}`
  const [, interpreter] = /^#!\s*(\S.*)$/.exec(first) ?? []
  if (interpreter === undefined) return null
  return `${shown} begins with "#!${oneLine(interpreter, 100)}", which the image does not have: install it, or name one that is there`
}
