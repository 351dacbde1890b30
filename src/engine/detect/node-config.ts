import { linesOf, type Tree } from './detected-build.js'

/** The text of a configuration, without lines that are comments. */
export function configOf(tree: Tree, name: string): string {
  const texts = [...tree.texts].filter(([path]) => new RegExp(`^${name}\\.config\\.[cm]?[jt]s$`).test(path))
  return texts
    .flatMap(([, text]) => linesOf(text))
    .filter((line) => !/^(?:\/[/*]|\*)/.test(line))
    .join('\n')
}
