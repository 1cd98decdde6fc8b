// The page's own address: a drawer shows that of its alert in its place.

export const here = new URL(location.href);
