import { type ReactNode, useEffect, useRef } from 'react'

interface PageProps {
  readonly title: string
  /** Beside the title. */
  readonly actions?: ReactNode
  readonly children: ReactNode
}

/** A screen. Its heading is the document's title, and takes the focus when the screen is opened, as with a new document. */
export function Page({ title, actions, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    document.title = `${title} · Longshore`
  }, [title])
  useEffect(() => heading.current?.focus(), [])
  return (
    <main>
      <div className="title">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {actions}
      </div>
      {children}
    </main>
  )
}
