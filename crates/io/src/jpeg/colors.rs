//! Luma and chroma to red, green and blue, with libjpeg's constants of 16 bits.

use super::vectorised;

vectorised! {
    /// A row. All slices are of one length.
    pub(crate) fn to_rgb(luma: &[u8], cb: &[u8], cr: &[u8], red: &mut [u8], green: &mut [u8], blue: &mut [u8]) {
        let n = luma.len();
        let (cb, cr) = (&cb[..n], &cr[..n]);
        let (red, green, blue) = (&mut red[..n], &mut green[..n], &mut blue[..n]);
        for i in 0..n {
            let (y, b, r) = (i32::from(luma[i]), i32::from(cb[i]) - 128, i32::from(cr[i]) - 128);
            red[i] = (y + ((91_881 * r + 32_768) >> 16)).clamp(0, 255) as u8;
            green[i] = (y + ((-22_554 * b - 46_802 * r + 32_768) >> 16)).clamp(0, 255) as u8;
            blue[i] = (y + ((116_130 * b + 32_768) >> 16)).clamp(0, 255) as u8;
        }
    }
}
