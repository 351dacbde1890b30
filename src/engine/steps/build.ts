import { LogSource } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { filterContext } from '../docker/build-context.js'
import type { BuildOutput, Image } from '../docker/docker.js'
import { DeployError, LostClaimError } from '../errors.js'
import type { Source } from '../git/git.js'
import { DEPLOYMENT_LABEL, forbiddenLabels, ownLabels } from '../routing/labels.js'
import type { Tools, Work } from './context.js'

/** `mvp-{app}:{deploymentId}`; the prefix is a setting. */
export function imageName(prefix: string, appName: string, deploymentId: string): string {
  return `${prefix}-${appName}:${deploymentId}`
}

/**
 * An image of the commit, built from the repository's files as they were committed. An image that an earlier
 * attempt of the same deployment finished is adopted.
 */
export async function build(work: Work, source: Source, tools: Tools, signal: AbortSignal): Promise<Image> {
  const { app, deployment, log } = work
  const tag = imageName(tools.settings.imagePrefix, app.name, deployment.id)
  const finished = await tools.docker.findImage(tag)
  const adopted = finished?.labels[DEPLOYMENT_LABEL] === deployment.id ? finished : null
  if (adopted) log.system(`Image ${tag} is built already`)
  const image = adopted ?? (await buildNew(work, source, tag, tools, signal))
  refuseRoutingLabels(image)
  const result = await tools.database
    .getRepository(Deployment)
    .update({ id: deployment.id, epoch: work.claim.epoch }, { image: tag, imageId: image.id })
  if (result.affected === 0) throw new LostClaimError(deployment.id)
  log.system(`Built ${tag}`)
  return image
}

async function buildNew(
  work: Work,
  source: Source,
  tag: string,
  tools: Tools,
  signal: AbortSignal,
): Promise<Image> {
  const { app, deployment, log } = work
  const ignoreFile = await checkContext(work, source, signal)
  log.system(`Building ${app.dockerfilePath} in ${app.contextPath}`)
  const timeout = AbortSignal.timeout(tools.settings.buildTimeoutMs)
  const either = AbortSignal.any([signal, timeout])
  const context = filterContext(ignoreFile, app.dockerfilePath)
  const archive = source.archive(app.contextPath, either)
  archive.once('error', (error) => context.destroy(error))
  const { output, end } = buildOutput(work)
  try {
    return await tools.docker.build(
      {
        context: archive.pipe(context),
        dockerfile: app.dockerfilePath,
        tag,
        labels: ownLabels(tools.settings.instanceId, app.id, deployment.id),
        noCache: deployment.noCache,
        output,
      },
      either,
    )
  } catch (error) {
    if (!timeout.aborted || signal.aborted) throw error
    const message = `the build took longer than ${tools.settings.buildTimeoutMs / 1000} s (BUILD_TIMEOUT)`
    throw new DeployError('BUILD_TIMEOUT', message, { cause: error })
  } finally {
    archive.destroy()
    end()
  }
}

function buildOutput({ log }: Work): { output: BuildOutput; end: () => void } {
  const stdout = log.output(LogSource.STDOUT)
  const stderr = log.output(LogSource.STDERR)
  return {
    output: {
      line: (text) => log.system(text),
      bytes: (from, bytes) => (from === 'STDERR' ? stderr : stdout).write(bytes),
    },
    end: () => {
      stdout.end()
      stderr.end()
    },
  }
}

/** Looks before it uploads: what is missing is said in the user's words. Gives the ignore file, if there is one. */
async function checkContext(work: Work, source: Source, signal: AbortSignal): Promise<string | null> {
  const { contextPath, dockerfilePath } = work.app
  const at = (path: string) => (contextPath === '.' ? path : `${contextPath}/${path}`)
  const context = await source.kindOf(contextPath, signal)
  if (context !== 'folder') {
    const message = `the context "${contextPath}" is ${describe(context)} in the repository; it must be a folder (contextPath)`
    throw new DeployError('CONTEXT_NOT_FOUND', message)
  }
  const dockerfile = await source.kindOf(at(dockerfilePath), signal)
  if (dockerfile !== 'file') {
    const message = `"${at(dockerfilePath)}" is ${describe(dockerfile)} in the repository; add a Dockerfile or set dockerfilePath`
    throw new DeployError('DOCKERFILE_NOT_FOUND', message)
  }
  if ((await source.kindOf(at('.gitmodules'), signal)) === 'file') {
    work.log.system('Submodules are not fetched: their folders are empty in the build')
  }
  for (const name of [`${dockerfilePath}.dockerignore`, '.dockerignore']) {
    if ((await source.kindOf(at(name), signal)) === 'file') return source.read(at(name), signal)
  }
  return null
}

function describe(kind: Awaited<ReturnType<Source['kindOf']>>): string {
  if (kind === 'link') return 'a symbolic link, which is not followed,'
  return kind === null ? 'missing' : `a ${kind}`
}

function refuseRoutingLabels(image: Image): void {
  const labels = forbiddenLabels(image.labels)
  if (labels.length === 0) return
  const message = `the image carries the label "${labels[0]}": labels that begin with "traefik." are Longshore's; remove them from the Dockerfile or its base image`
  throw new DeployError('FORBIDDEN_LABEL', message)
}
