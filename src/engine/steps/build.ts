import type { BuildConfiguration } from '../../entities/configuration.js'
import { LogStream } from '../../entities/deployment-status.js'
import { looksSecret } from '../configuration/build-options.js'
import type { BuildOutput, Image, StepOutput } from '../docker/docker.js'
import { contextOf } from './build-context.js'
import { checkDisk } from './disk.js'
import { DeployError } from '../errors.js'
import type { Source } from '../git/git.js'
import { ownLabels } from '../routing/labels.js'
import { step, type Services } from '../services.js'
import type { DeploymentRun } from './deployment-run.js'
import { explainBuild } from './explain-build.js'
import { fetchLfs } from './fetch-lfs.js'
import { accept, tagOf } from './image.js'
import { planBuild } from './plan-build.js'

/** An image of the commit, built from the repository's files as they were committed. */
export async function build(run: DeploymentRun, source: Source, services: Services): Promise<Image> {
  await checkDisk(run, services)
  const image = await buildNew(run, source, services)
  const { commitSha } = source
  await step(services, 'accept', () => accept(run, { image, commitSha }, services))
  run.log.system(`Built ${tagOf(run, services)}`)
  return image
}

async function buildNew(run: DeploymentRun, source: Source, services: Services): Promise<Image> {
  const { app, deployment, log, signal } = run
  const { contextPath, target, args, platform } = run.configuration.build
  const plan = await planBuild(run, source, services)
  await fetchLfs(run, plan.pointers, services)
  logBuildOptions(run.configuration.build, log)
  const timeout = AbortSignal.timeout(services.settings.buildTimeoutMs)
  const either = AbortSignal.any([signal, timeout])
  const { output, end } = buildOutput(run)
  try {
    return await services.docker.build(
      {
        context: contextOf(contextPath, plan),
        dockerfile: plan.dockerfileName,
        target,
        args,
        platform,
        tag: tagOf(run, services),
        labels: ownLabels(services.settings.instanceId, app.id, deployment.id),
        secrets: run.buildSecrets,
        noCache: deployment.noCache,
        output,
      },
      either,
    )
  } catch (error) {
    if (!timeout.aborted || signal.aborted) throw await explainBuild(error, { run, plan }, services)
    const message = `the build took longer than ${services.settings.buildTimeoutMs / 1000} s (BUILD_TIMEOUT)`
    throw new DeployError('BUILD_TIMEOUT', message, { cause: error })
  } finally {
    end()
  }
}

function logBuildOptions(
  { contextPath, dockerfilePath, target, args, platform }: BuildConfiguration,
  log: DeploymentRun['log'],
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
      `Warning: the build argument ${name} looks like a secret. Arguments stay in the image's history, where anyone with the image can read them`,
    )
  }
}

/** A stream for each step: in the lines of two that go on at once no secret could be recognised. */
function buildOutput({ log }: DeploymentRun): { output: BuildOutput; end: () => void } {
  const steps = new Map<string, StepStreams>()
  const ended = (step: string) => {
    steps.get(step)?.end()
    steps.delete(step)
  }
  const output: BuildOutput = {
    line: (text) => log.system(text),
    clipped: (text) => log.clipped(text),
    bytes: (written) => {
      const streams = steps.get(written.step) ?? new StepStreams(log)
      steps.set(written.step, streams)
      return streams.write(written)
    },
    ended,
  }
  return { output, end: () => [...steps.keys()].forEach(ended) }
}

class StepStreams {
  #prefix = ''
  readonly #streams

  constructor(log: DeploymentRun['log']) {
    const prefix = () => this.#prefix
    this.#streams = {
      STDOUT: log.output(LogStream.STDOUT, prefix),
      STDERR: log.output(LogStream.STDERR, prefix),
    }
  }

  write({ source, bytes, prefix }: StepOutput): Promise<void> {
    this.#prefix = prefix
    return this.#streams[source].write(bytes)
  }

  end(): void {
    this.#streams.STDOUT.end()
    this.#streams.STDERR.end()
  }
}
