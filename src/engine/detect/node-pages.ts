import { objectOf, type Package, parseObject, stringOf } from './package-json.js'
import type { Tree } from './recipe.js'

/** Where the build of a site puts its pages. */
export function pagesOf(tree: Tree, { dependencies, development }: Package): string {
  const uses = (name: string) => dependencies.has(name) || development.has(name)
  if (uses('react-scripts')) return 'build'
  if (uses('gatsby')) return 'public'
  if (uses('@11ty/eleventy')) return '_site'
  if (uses('@docusaurus/core') || uses('@sveltejs/kit')) return 'build'
  if (uses('nuxt')) return '.output/public'
  return angularPages(tree.texts.get('angular.json') ?? '') ?? 'dist'
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
