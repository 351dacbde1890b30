const SECTION = /^\s*\[\s*submodule\s+"(?:[^"\\]|\\.)*"\s*\]/i
const SETTING = /^\s*(path|url)\s*=\s*(.*?)\s*$/i

/** The URLs that a `.gitmodules` gives, by the path of each submodule. */
export function urlsIn(gitmodules: string): ReadonlyMap<string, string> {
  const urls = new Map<string, string>()
  let module: { path?: string; url?: string } = {}
  for (const line of gitmodules.split(/\r?\n/)) {
    if (SECTION.test(line)) module = {}
    else if (/^\s*\[/.test(line)) module = {}
    const [, key = '', value = ''] = SETTING.exec(line) ?? []
    if (key === '') continue
    module = { ...module, [key.toLowerCase()]: valueOf(value) }
    if (module.path !== undefined && module.url !== undefined) urls.set(module.path, module.url)
  }
  return urls
}

/** As git writes one: quoted where it has to be, and without a comment behind it. */
function valueOf(text: string): string {
  const [, quoted] = /^"((?:[^"\\]|\\.)*)"/.exec(text) ?? []
  if (quoted !== undefined) return quoted.replace(/\\(.)/g, '$1')
  return text.replace(/\s+[#;].*$/, '')
}

/** A URL that begins with `./` or `../` is relative to that of the repository which names it, as git has it. */
export function resolveUrl(parent: string, url: string): string {
  if (!/^\.\.?\//.test(url)) return url
  let base = parent.replace(/\/+$/, '')
  let rest = url
  for (;;) {
    if (rest.startsWith('./')) rest = rest.slice(2)
    else if (rest.startsWith('../')) {
      rest = rest.slice(3)
      base = base.replace(/[/:][^/:]*$/, (gone) => (gone.startsWith(':') ? ':' : ''))
    } else break
  }
  return base.endsWith(':') ? `${base}${rest}` : `${base}/${rest}`
}
