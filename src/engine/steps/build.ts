import { DeploymentTrigger, LogSource } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { filterContext } from '../docker/build-context.js'
import type { BuildOutput, Image } from '../docker/docker.js'
import { checkDisk } from '../disk.js'
import { DeployError, LostClaimError } from '../errors.js'
import type { EntryKind, Source } from '../git/git.js'
import { DEPLOYMENT_LABEL, forbiddenLabels, ownLabels } from '../routing/labels.js'
import { step, type Tools, type Work } from './context.js'

/** `mvp-{app}:{deploymentId}`; the prefix is a setting. */
export function imageName(prefix: string, appName: string, deploymentId: string): string {
  return `${prefix}-${appName}:${deploymentId}`
}

/**
 * An image that is there already: the one that an earlier attempt of the deployment finished, or the one of another
 * deployment that this one is to run again. Null: it has to be built.
 */
export async function reuseImage(work: Work, tools: Tools): Promise<Image | null> {
  const { app, deployment } = work
  const tag = imageName(tools.settings.imagePrefix, app.name, deployment.id)
  if (deployment.imageId) return useAgain(work, tag, deployment.imageId, tools)
  if (deployment.attempt <= 1) return null
  const finished = await tools.docker.findImage(tag)
  if (finished?.labels[DEPLOYMENT_LABEL] !== deployment.id) return null
  work.log.system(`Image ${tag} is built already`)
  return accept(work, finished, tag, tools)
}

async function useAgain(work: Work, tag: string, imageId: string, tools: Tools): Promise<Image | null> {
  const image = await tools.docker.findImage(imageId)
  if (!image) {
    // The others were asked to run what is there; a restart or a retry may build it again.
    if ([DeploymentTrigger.ROLLBACK, DeploymentTrigger.PROMOTE].includes(work.deployment.trigger)) {
      const message = 'the image of that release is not kept any more: deploy its commit again'
      throw new DeployError('IMAGE_GONE', message)
    }
    work.log.system('The image is not there any more: building its commit again')
    return null
  }
  await tools.docker.tagImage(imageId, tag)
  work.log.system(`Using image ${tag} without a build`)
  return accept(work, image, tag, tools)
}

/** An image of the commit, built from the repository's files as they were committed. */
export async function build(work: Work, source: Source, tools: Tools, signal: AbortSignal): Promise<Image> {
  await checkDisk(tools, (line) => work.log.system(line))
  const tag = imageName(tools.settings.imagePrefix, work.app.name, work.deployment.id)
  const image = await buildNew(work, source, tag, tools, signal)
  await step(tools, 'accept', () => accept(work, image, tag, tools))
  work.log.system(`Built ${tag}`)
  return image
}

async function accept(work: Work, image: Image, tag: string, tools: Tools): Promise<Image> {
  refuseRoutingLabels(image)
  const result = await tools.database
    .getRepository(Deployment)
    .update({ id: work.deployment.id, epoch: work.claim.epoch }, { image: tag, imageId: image.id })
  if (result.affected === 0) throw new LostClaimError(work.deployment.id)
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
  const ignoreFiles = [`${dockerfilePath}.dockerignore`, '.dockerignore'].map(at)
  const paths = [contextPath, at(dockerfilePath), at('.gitmodules'), ...ignoreFiles]
  const kinds = await source.kindsOf(paths, signal)
  const context = kinds.get(contextPath)
  if (context !== 'folder') {
    const message = `the context "${contextPath}" is ${describe(context)} in the repository; it must be a folder (contextPath)`
    throw new DeployError('CONTEXT_NOT_FOUND', message)
  }
  const dockerfile = kinds.get(at(dockerfilePath))
  if (dockerfile !== 'file') {
    const message = `"${at(dockerfilePath)}" is ${describe(dockerfile)} in the repository; add a Dockerfile or set dockerfilePath`
    throw new DeployError('DOCKERFILE_NOT_FOUND', message)
  }
  if (kinds.get(at('.gitmodules')) === 'file') {
    work.log.system('Submodules are not fetched: their folders are empty in the build')
  }
  const ignoreFile = ignoreFiles.find((path) => kinds.get(path) === 'file')
  return ignoreFile === undefined ? null : source.read(ignoreFile, signal)
}

function describe(kind: EntryKind | undefined): string {
  if (kind === 'link') return 'a symbolic link, which is not followed,'
  return kind === undefined ? 'missing' : `a ${kind}`
}

function refuseRoutingLabels(image: Image): void {
  const labels = forbiddenLabels(image.labels)
  if (labels.length === 0) return
  const message = `the image carries the label "${labels[0]}": labels that begin with "traefik." are Longshore's; remove them from the Dockerfile or its base image`
  throw new DeployError('FORBIDDEN_LABEL', message)
}
