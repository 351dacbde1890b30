import type { BuildConfiguration } from '../../entities/configuration.js'
import { LogSource } from '../../entities/deployment-status.js'
import { looksSecret } from '../build-options.js'
import type { BuildOutput, Image } from '../docker/docker.js'
import { contextOf } from './build-context.js'
import { checkDisk } from './disk.js'
import { DeployError } from '../errors.js'
import type { Source } from '../git/git.js'
import { ownLabels } from '../routing/labels.js'
import { step, type Tools, type Work } from './context.js'
import { accept, imageName } from './image.js'
import { planBuild } from './plan-build.js'

/** An image of the commit, built from the repository's files as they were committed. */
export async function build(work: Work, source: Source, tools: Tools, signal: AbortSignal): Promise<Image> {
  await checkDisk(tools, (line) => work.log.system(line), signal)
  const tag = imageName(tools.settings.imagePrefix, work.app.name, work.deployment.id)
  const image = await buildNew(work, source, tag, tools, signal)
  await step(tools, 'accept', () => accept(work, image, tag, tools, source.commitSha))
  work.log.system(`Built ${tag}`)
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
  const { contextPath, dockerfilePath, target, args, platform } = work.configuration.build
  const plan = await planBuild(work, source, tools, signal)
  sayBuild(work.configuration.build, log)
  const timeout = AbortSignal.timeout(tools.settings.buildTimeoutMs)
  const either = AbortSignal.any([signal, timeout])
  const { output, end } = buildOutput(work)
  try {
    return await tools.docker.build(
      {
        context: contextOf(source, contextPath, plan),
        dockerfile: dockerfilePath,
        target,
        args,
        platform,
        tag,
        labels: ownLabels(tools.settings.instanceId, app.id, deployment.id),
        secrets: work.buildSecrets,
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
    end()
  }
}

function sayBuild(
  { contextPath, dockerfilePath, target, args, platform }: BuildConfiguration,
  log: Work['log'],
): void {
  const names = Object.keys(args)
  const options = [
    ...(target === null ? [] : [`target ${target}`]),
    ...(platform === null ? [] : [`platform ${platform}`]),
    ...(names.length === 0 ? [] : [`arguments ${names.join(', ')}`]),
  ]
  log.system(`Building ${[`${dockerfilePath} in ${contextPath}`, ...options].join(', ')}`)
  for (const name of names.filter(looksSecret)) {
    log.system(
      `Warning: the build argument ${name} looks like a secret. Arguments stay in the image's history, where everybody with the image reads them`,
    )
  }
}

/** A stream for each step: in the lines of two that go on at once no secret could be recognised. */
function buildOutput({ log }: Work): { output: BuildOutput; end: () => void } {
  const begin = () => ({ STDOUT: log.output(LogSource.STDOUT), STDERR: log.output(LogSource.STDERR) })
  const steps = new Map<string, ReturnType<typeof begin>>()
  const ended = (step: string) => {
    const streams = steps.get(step)
    steps.delete(step)
    streams?.STDOUT.end()
    streams?.STDERR.end()
  }
  const output: BuildOutput = {
    line: (text) => log.system(text),
    clipped: (text) => log.clipped(text),
    bytes: (step, source, bytes) => {
      const streams = steps.get(step) ?? begin()
      steps.set(step, streams)
      return streams[source].write(bytes)
    },
    ended,
  }
  return { output, end: () => [...steps.keys()].forEach(ended) }
}
