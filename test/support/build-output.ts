import type { BuildOutput } from '../../src/engine/docker/docker.js'

/** For builds whose output does not matter. */
export const SILENT: BuildOutput = {
  line: () => undefined,
  clipped: () => undefined,
  bytes: () => Promise.resolve(),
  ended: () => undefined,
}
