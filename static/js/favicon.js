// The number of alerts that need a human, on the icon of the tab.

const link = document.querySelector("[data-favicon]");
const plain = link?.href;
const drawing = (text) => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="7" fill="#0d5fc7"/><circle cx="19" cy="19" r="13" fill="#c01f21"/>
<text x="19" y="24.5" text-anchor="middle" font-family="sans-serif" font-weight="700" font-size="16" fill="#fff">${text}</text></svg>`;

export function badge(n) {
  if (!link) return;
  const text = n > 9 ? "9+" : String(n);
  const href = n ? `data:image/svg+xml,${encodeURIComponent(drawing(text))}` : plain;
  if (link.href !== href) link.href = href;
}
