import { configOf } from './node-config.js'
import { isExport } from './node-pages.js'
import { type Package, uses } from './package-json.js'
import type { Problem, Tree } from './detected-build.js'

type Command = readonly string[] | string

const NITRO = ['node', '.output/server/index.mjs']
const TANSTACK = ['react', 'solid', 'vue'].map((name) => `@tanstack/${name}-start`)

/** Frameworks whose build makes a program, and whose templates have no script that starts it. Null: none. */
export function ofFramework(tree: Tree, found: Package): Command | Problem | null {
  const build = found.scripts.get('build')
  if (build === undefined) return null
  if (uses(found, 'next')) return isExport(tree, found) ? null : 'next start'
  if (uses(found, 'nuxt')) return /\bgenerate\b/.test(build) ? null : NITRO
  if (uses(found, '@sveltejs/kit')) return svelte(tree, found)
  if (TANSTACK.some((name) => uses(found, name))) return tanstack(tree, found)
  if (['vinxi', '@solidjs/start', '@tanstack/start', 'nitropack'].some((name) => uses(found, name)))
    return NITRO
  if (uses(found, '@astrojs/node')) return ['node', 'dist/server/entry.mjs']
  if (/\bssr[ \t]*:[ \t]*false\b/.test(configOf(tree, 'react-router'))) return null
  if (uses(found, '@react-router/serve')) return 'react-router-serve build/server/index.js'
  if (uses(found, '@remix-run/serve')) return 'remix-serve build/server/index.js'
  const ofAngular = [...found.scripts].find(([name]) => name.startsWith('serve:ssr'))?.[1] ?? ''
  const server = /^node ([\w./-]+)$/.exec(ofAngular)?.[1]
  return server === undefined ? null : ['node', server]
}

/** The adapter that the configuration imports, or else the only one that is a package. */
function svelte(tree: Tree, found: Package): Command | Problem | null {
  const config = configOf(tree, 'svelte')
  const named = /\bfrom[ \t]*['"](@sveltejs\/adapter-[\w-]+)['"]/.exec(config)?.[1]
  const is = (adapter: string) => (named === undefined ? uses(found, adapter) : named === adapter)
  if (is('@sveltejs/adapter-static')) return null
  if (is('@sveltejs/adapter-node')) {
    const out = /\bout[ \t]*:[ \t]*['"`](?:\.\/)?([\w-]+(?:\/[\w-]+)*)\/?['"`]/.exec(config)?.[1]
    return ['node', out ?? 'build']
  }
  return {
    problem:
      'SvelteKit needs an adapter for a server or for static pages: configure @sveltejs/adapter-node or @sveltejs/adapter-static',
  }
}

function tanstack(tree: Tree, found: Package): Command | Problem {
  const usesNitro = ['nitro', 'nitropack', 'vinxi'].some((name) => uses(found, name))
  if (usesNitro || /\bnitro\b/.test(configOf(tree, 'vite'))) return NITRO
  return {
    problem:
      'TanStack Start makes no program that listens: add the plugin of the package "nitro" to vite.config.ts, or a "start" script',
  }
}
