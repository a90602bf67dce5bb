declare module "htmx-ext-sse";
declare module "idiomorph/htmx";
