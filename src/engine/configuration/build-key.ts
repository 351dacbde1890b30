import { createHash } from 'node:crypto'
import type { BaseImages, BuilderChoice } from '../../config.js'
import type { Configuration } from '../../entities/configuration.js'
import { DEFAULT_DOCKERFILE, DETECTION_VERSION } from '../detect/detected-build.js'

/**
 * Changes when the same commit is sent to the build in another way. 2: modes as in a checkout, nothing that is ignored;
 * 3: files of Git LFS and of submodules.
 */
const CONTEXT_VERSION = 3

/** What of Longshore's own goes into an image. */
export interface BuildSettings {
  readonly builder: BuilderChoice
  readonly baseImages: BaseImages
  readonly detectionVersion?: number
}

/** What an image is made of: two builds of an app with the same key give the same image, as far as anybody can say. */
export function buildKey(
  commitSha: string,
  { build, variables }: Pick<Configuration, 'build' | 'variables'>,
  { builder, baseImages, detectionVersion = DETECTION_VERSION }: BuildSettings,
): string {
  const { contextPath, dockerfilePath, target, args, platform } = build
  const secrets = variables.filter(({ buildSecret }) => buildSecret)
  const parts = [
    [CONTEXT_VERSION, commitSha, contextPath, dockerfilePath, target, platform],
    Object.entries(args).sort(byName),
    secrets.map(({ key, fingerprint }) => [key, fingerprint] as const).sort(byName),
    [builder, ...Object.entries(baseImages).sort(byName)],
    // Whether there is a Dockerfile at this path is not known here.
    dockerfilePath === DEFAULT_DOCKERFILE ? [detectionVersion] : [],
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1
}
