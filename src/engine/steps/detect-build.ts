import { detect, LOOKED_FOR } from '../detect/detect.js'
import { DEFAULT_DOCKERFILE, withArguments, withSecrets, withVersion } from '../detect/detected-build.js'
import { NODE_DEFAULTS } from '../detect/node-version.js'
import { PYTHON_DEFAULTS } from '../detect/python-version.js'
import { readTree } from '../detect/tree.js'
import { DeployError } from '../errors.js'
import type { Source } from '../git/git.js'
import type { Services } from '../services.js'
import type { ContextFiles } from './context-files.js'
import type { DeploymentRun } from './deployment-run.js'

/** The Dockerfile that is written for a repository without one, and lines of an ignore file that go with it. */
export interface Detected {
  readonly written: ReadonlyMap<string, string>
  readonly ignore: readonly string[]
}

/** @throws DeployError DOCKERFILE_NOT_FOUND with what is known of these files, and what would make it right */
export async function detectBuild(
  run: DeploymentRun,
  context: { readonly source: Source; readonly files: ContextFiles },
  services: Services,
): Promise<Detected> {
  const { configuration, buildSecrets, log, signal } = run
  const { baseImages } = services.settings
  const tree = await readTree(context, configuration.build.contextPath, signal)
  const images = {
    ...baseImages,
    local: await localImages(services, signal),
    // Of the app: what a build leaves there is read by the next one, so nobody else's may.
    ...((await services.docker.usesBuildkit(signal)) ? { cache: `app-${run.app.id}` } : {}),
  }
  const found = detect(tree, images)
  if (!found || 'problem' in found) {
    const why = found
      ? `there is no Dockerfile: ${found.problem}`
      : `there is no Dockerfile, and none of ${LOOKED_FOR}`
    const next = /Dockerfile/.test(found?.problem ?? '') ? '' : '. Or add a Dockerfile or set dockerfilePath'
    throw new DeployError('DOCKERFILE_NOT_FOUND', `${why}${next}`)
  }
  // Their names are of a grammar without white space (build-options.ts).
  const names = Object.keys(configuration.build.args).sort()
  const dockerfile = withSecrets(withArguments(found.dockerfile, names), [...buildSecrets.keys()].sort())
  log.system(
    `No Dockerfile: detected ${found.language} (${found.detectedBy.join(', ')}), building with this one:`,
  )
  for (const note of found.notes) log.system(note)
  for (const line of dockerfile.trimEnd().split('\n')) log.system(`    ${line}`.trimEnd())
  return { ignore: found.ignore, written: new Map([[DEFAULT_DOCKERFILE, dockerfile]]) }
}

/** Of the images that may be taken where nobody asks for a version: those that need not be fetched. */
async function localImages(
  { docker, settings }: Services,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const { node, python } = settings.baseImages
  const names = [
    ...NODE_DEFAULTS.map((version) => withVersion(node, version)),
    ...PYTHON_DEFAULTS.map((version) => withVersion(python, version)),
  ]
  const found = await Promise.all(names.map((name) => docker.findImage(name, signal)))
  return new Set(names.filter((_, index) => found[index]))
}
