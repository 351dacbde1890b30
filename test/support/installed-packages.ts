import { fileURLToPath } from 'node:url'

/** One of `packages` of a package-lock.json, as far as it is read. */
export interface Package {
  readonly version?: string
  readonly integrity?: string
  readonly resolved?: string
  readonly dev?: boolean
  readonly optional?: boolean
  readonly devOptional?: boolean
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

type Packages = Readonly<Record<string, Package>>

type Need = 'all' | 'production'

interface InstalledPackages {
  readonly isInstalled: (root: string, need: Need) => boolean
  readonly markInstalled: (root: string) => void
  readonly missingPackages: (
    wanted: Packages,
    there: Packages,
    need: Need,
    machine?: { readonly platform: string; readonly arch: string },
  ) => string[]
}

// dist/test/support → scripts/, which is not compiled
const SCRIPTS = new URL('../../../scripts/', import.meta.url)

/** scripts/lib/installed-packages.mjs */
export const INSTALLED_PACKAGES = (await import(
  new URL('lib/installed-packages.mjs', SCRIPTS).href
)) as InstalledPackages

/** The folder of the scripts. */
export const SCRIPTS_FOLDER = fileURLToPath(SCRIPTS)
