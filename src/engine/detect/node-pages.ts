import { configOf } from './node-config.js'
import { objectOf, type Package, parseObject, stringOf, uses } from './package-json.js'
import { linesOf, present, type Tree } from './detected-build.js'

/** Where the build of a site puts its pages. */
export function pagesOf(tree: Tree, found: Package): string {
  if (isExport(tree, found)) return 'out'
  if (/\bssr[ \t]*:[ \t]*false\b/.test(configOf(tree, 'react-router'))) return 'build/client'
  const told = toldFolder(tree, found)
  if (told !== null) return told
  const [, folder] = FOLDERS.find(([name]) => uses(found, name)) ?? []
  return folder ?? angularPages(tree.texts.get('angular.json') ?? '') ?? 'dist'
}

/** By an option of the build, or Vite's configuration. */
function toldFolder(tree: Tree, found: Package): string | null {
  const build = found.scripts.get('build') ?? ''
  const docs = /\bvitepress build(?: ([\w/-]+))?/.exec(build)
  if (docs) return `${docs[1] === undefined ? '' : `${docs[1]}/`}.vitepress/dist`
  const option = /--(?:outDir|out-dir|output|dist-dir)[= ]["']?([\w./-]+)/.exec(build)?.[1]
  if (option !== undefined) return inside('', option)
  if (!uses(found, 'vite')) return null
  const config = configOf(tree, 'vite')
  const value = (name: string) =>
    new RegExp(
      `\\b${name}[ \\t]*:[ \\t]*(?:[\\w.]{1,40}\\([\\w.]{1,40},[ \\t]*)?['"\`]([\\w./-]+)['"\`]`,
    ).exec(config)?.[1]
  const root = value('root') ?? ''
  const folder = value('outDir')
  return folder === undefined && root === '' ? null : inside(root, folder ?? 'dist')
}

/** Null: it is none of the repository's. */
function inside(root: string, folder: string): string | null {
  const parts: string[] = []
  for (const part of `${root}/${folder}`.split('/').filter((one) => one !== '' && one !== '.')) {
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined) return null
  }
  return parts.length > 0 && parts.every((part) => /^[\w@.-]+$/.test(part)) ? parts.join('/') : null
}

const FOLDERS = [
  ['react-scripts', 'build'],
  ['gatsby', 'public'],
  ['@11ty/eleventy', '_site'],
  ['@storybook/cli', 'storybook-static'],
  ['@docusaurus/core', 'build'],
  ['@sveltejs/kit', 'build'],
  ['nuxt', '.output/public'],
] as const

export const NEXT_CONFIGURATION = ['js', 'mjs', 'cjs', 'ts', 'mts'].map((ending) => `next.config.${ending}`)

/** Whether the build of Next.js makes pages instead of a program, as far as the text of its configuration tells. */
export function isExport(tree: Tree, found: Package): boolean {
  if (!uses(found, 'next')) return false
  const lines = present(tree, NEXT_CONFIGURATION).flatMap((path) => linesOf(tree.texts.get(path) ?? ''))
  const isSaid = (line: string) =>
    !/^(?:\/[/*]|\*)/.test(line) && /\boutput['"]?[ \t]*:[ \t]*['"`]export['"`]/.test(line)
  return lines.some(isSaid) || /\bnext export\b/.test(found.scripts.get('build') ?? '')
}

/** A folder is the one of pages by its index.html: a wrong guess is the build's error, not an empty site. */
export function checkPages(folder: string): string {
  const hint = `the build made no ${folder}/index.html: add a start script or a Dockerfile`
  return `RUN test -f ${folder}/index.html || { echo '${hint}'; exit 1; }`
}

/** Null: angular.json does not tell, or names a folder that is none of the repository's. */
function angularPages(text: string): string | null {
  const json = parseObject(text)
  const projects = objectOf(json?.projects)
  const isProgram = (name: string) =>
    Object.hasOwn(projects, name) && objectOf(projects[name]).projectType !== 'library'
  const name = [stringOf(json?.defaultProject), ...Object.keys(projects)].find(isProgram)
  if (name === undefined) return null
  const project = objectOf(projects[name])
  const build = objectOf(objectOf(project.architect ?? project.targets).build)
  const { outputPath } = objectOf(build.options)
  const { base, browser } = objectOf(outputPath)
  // This builder has a folder of its own for what is not the server's.
  const inner = stringOf(build.builder).endsWith(':application') ? stringOf(browser ?? 'browser') : ''
  const folder = `${stringOf(outputPath) || stringOf(base) || `dist/${name}`}/${inner}`
  const parts = folder.split('/').filter((part) => part !== '' && part !== '.')
  return parts.length > 0 && parts.every((part) => /^(?!\.\.$)[\w@.-]+$/.test(part)) ? parts.join('/') : null
}
