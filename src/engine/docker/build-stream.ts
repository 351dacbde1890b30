import { DeployError, InfrastructureError } from '../errors.js'
import { BuildSteps } from './build-steps.js'
import type { BuildOutput } from './docker.js'
import { exitCodeOfStep, isOverloadError } from './engine-messages.js'
import { readNdjson } from './ndjson.js'

interface BuildMessage {
  readonly stream?: string
  readonly status?: string
  readonly id?: string
  readonly error?: string
  readonly errorDetail?: { readonly message?: string; readonly code?: number }
  readonly aux?: { readonly ID?: string } | string
}

/**
 * Follows a build's messages to their end, classic or BuildKit, and gives the id of the image.
 *
 * An error inside the stream, an end without an image id and a message that cannot be read are all failures:
 * nothing but the id counts as success.
 *
 * @param steps are told of here as well, for whoever breaks it off
 * @throws DeployError BUILD_FAILED when the engine says what failed; InfrastructureError when it does not, as an engine
 *   that is being stopped
 */
export async function followBuild(
  source: AsyncIterable<Buffer>,
  output: BuildOutput,
  steps = new BuildSteps(output),
): Promise<string> {
  let imageId: string | null = null
  for await (const message of readNdjson(source) as AsyncIterable<BuildMessage>) {
    if (message.error !== undefined || message.errorDetail) throw buildError(message, steps)
    if (message.id === 'moby.buildkit.trace' && typeof message.aux === 'string') {
      await steps.take(Buffer.from(message.aux, 'base64'))
    } else if (typeof message.aux === 'object' && message.aux.ID) {
      imageId = message.aux.ID
    } else if (message.stream !== undefined) {
      await steps.classic(message.stream)
    } else if (message.status && message.id !== 'moby.image.id') {
      // A pull reports every block; what a person wants to know is that it began and ended.
      if (/^(Pulling from|Digest:|Status:)/.test(message.status)) output.line(message.status)
    }
  }
  if (imageId) {
    steps.classicDone()
    return imageId
  }
  throw new InfrastructureError(
    'DOCKER_FAILED',
    'the Docker engine ended the build with neither an image nor an error',
  )
}

function buildError(message: BuildMessage, steps: BuildSteps): DeployError | InfrastructureError {
  const text = message.errorDetail?.message ?? message.error ?? 'unknown error'
  if (isOverloadError(text)) return new InfrastructureError('DOCKER_FAILED', `docker build failed: ${text}`)
  const exitCode = exitCodeOfStep(text) ?? message.errorDetail?.code ?? null
  const lastLines = steps.lastLines(text)
  const hint = exitCode === null || lastLines.length === 0 ? '' : '; see the last lines'
  return new DeployError('BUILD_FAILED', `docker build failed: ${text}${hint}`, { exitCode, lastLines })
}
